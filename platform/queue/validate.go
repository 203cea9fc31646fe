package queue

import (
	"fmt"
	"unicode/utf8"
)

// MaxBody is the largest body, in bytes, that every adapter accepts.
const MaxBody = 256 << 10

// maxID is the length limit, in characters, that SQS sets for group and deduplication ids.
const maxID = 128

// Validate reports, as an error wrapping [ErrRejected], why no adapter may accept the message:
// the rules are those of Amazon SQS (SendMessage in its API reference), so that what one
// adapter takes, every adapter takes. A body is UTF-8 text of 1 to [MaxBody] bytes out of tab,
// line feed, carriage return, U+0020 to U+D7FF, U+E000 to U+FFFD and everything above U+FFFF.
// The error never quotes the body.
func (m Message) Validate() error {
	if !validID(m.Group) {
		return fmt.Errorf("%w: its group must be 1 to %d printable ASCII characters without spaces", ErrRejected, maxID)
	}
	if !validID(m.DeduplicationID) {
		return fmt.Errorf("%w: its deduplication id must be 1 to %d printable ASCII characters without spaces", ErrRejected, maxID)
	}
	switch n := len(m.Body); {
	case n == 0:
		return fmt.Errorf("%w: its body is empty", ErrRejected)
	case n > MaxBody:
		return fmt.Errorf("%w: its body has %d bytes, the limit is %d", ErrRejected, n, MaxBody)
	}
	for i := 0; i < len(m.Body); {
		char, size := utf8.DecodeRune(m.Body[i:])
		if char == utf8.RuneError && size == 1 {
			return fmt.Errorf("%w: its body is not UTF-8 at byte %d", ErrRejected, i)
		}
		if !validChar(char) {
			return fmt.Errorf("%w: its body holds the character %U at byte %d, which queues do not carry", ErrRejected, char, i)
		}
		i += size
	}
	return nil
}

// validID says whether SQS takes id as a message group's or a deduplication id.
func validID(id string) bool {
	if len(id) == 0 || len(id) > maxID {
		return false
	}
	for i := range len(id) {
		if id[i] < '!' || id[i] > '~' {
			return false
		}
	}
	return true
}

// validChar says whether SQS carries char, a valid code point, in a body.
func validChar(char rune) bool {
	switch char {
	case '\t', '\n', '\r':
		return true
	case 0xFFFE, 0xFFFF:
		return false
	}
	return char >= ' '
}
