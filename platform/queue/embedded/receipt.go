package embedded

import (
	"strconv"
	"strings"
)

// receipt is what a delivery's receipt says: the claim's token, and the message's number.
type receipt struct {
	Token    string `json:"token"`
	Sequence int64  `json:"sequence"`
}

func (r receipt) String() string {
	return r.Token + "." + strconv.FormatInt(r.Sequence, 10)
}

// parseReceipts reads receipts and counts the distinct ones, those included that no queue ever
// gave out.
func parseReceipts(texts []string) (known []receipt, distinct int) {
	seen := make(map[string]bool, len(texts))
	for _, text := range texts {
		if seen[text] {
			continue
		}
		seen[text] = true
		token, number, _ := strings.Cut(text, ".")
		if sequence, err := strconv.ParseInt(number, 10, 64); err == nil {
			known = append(known, receipt{Token: token, Sequence: sequence})
		}
	}
	return known, len(seen)
}
