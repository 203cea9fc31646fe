package queue_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"contacts/platform/queue"
)

func TestMessage_Validate(t *testing.T) {
	t.Parallel()
	good := queue.Message{Group: "group", DeduplicationID: "id", Body: []byte("body")}
	with := func(change func(*queue.Message)) queue.Message {
		message := good
		change(&message)
		return message
	}

	accepted := map[string]queue.Message{
		"plain":         good,
		"every id sign": with(func(m *queue.Message) { m.Group = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~" }),
		"longest ids": with(func(m *queue.Message) {
			m.Group, m.DeduplicationID = strings.Repeat("g", 128), strings.Repeat("d", 128)
		}),
		"largest body":    with(func(m *queue.Message) { m.Body = []byte(strings.Repeat("x", queue.MaxBody)) }),
		"white space":     with(func(m *queue.Message) { m.Body = []byte("\t\r\n ") }),
		"edges of ranges": with(func(m *queue.Message) { m.Body = []byte("\x7f\uD7FF\uE000\uFFFD\U00010000\U0010FFFF") }),
	}
	for name, message := range accepted {
		require.NoError(t, message.Validate(), name)
	}

	rejected := map[string]queue.Message{
		"no group":          with(func(m *queue.Message) { m.Group = "" }),
		"long group":        with(func(m *queue.Message) { m.Group = strings.Repeat("g", 129) }),
		"space in group":    with(func(m *queue.Message) { m.Group = "a b" }),
		"accent in group":   with(func(m *queue.Message) { m.Group = "é" }),
		"no id":             with(func(m *queue.Message) { m.DeduplicationID = "" }),
		"long id":           with(func(m *queue.Message) { m.DeduplicationID = strings.Repeat("d", 129) }),
		"no body":           with(func(m *queue.Message) { m.Body = nil }),
		"large body":        with(func(m *queue.Message) { m.Body = []byte(strings.Repeat("x", queue.MaxBody+1)) }),
		"not UTF-8":         with(func(m *queue.Message) { m.Body = []byte("a\xff") }),
		"surrogate":         with(func(m *queue.Message) { m.Body = []byte("\xed\xa0\x80") }),
		"control character": with(func(m *queue.Message) { m.Body = []byte("\x00") }),
		"noncharacter":      with(func(m *queue.Message) { m.Body = []byte("\uFFFF") }),
	}
	for name, message := range rejected {
		require.ErrorIs(t, message.Validate(), queue.ErrRejected, name)
	}
}

func TestMessage_Validate_KeepsBodySecret(t *testing.T) {
	t.Parallel()
	err := queue.Message{Group: "g", DeduplicationID: "d", Body: []byte("Ada Lovelace\x00")}.Validate()
	require.ErrorIs(t, err, queue.ErrRejected)
	require.NotContains(t, err.Error(), "Lovelace")
}
