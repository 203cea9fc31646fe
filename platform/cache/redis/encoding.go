package redis

import (
	"strconv"
	"strings"

	"contacts/platform/cache"
)

// leaseMark begins every lease. No entry begins so.
const leaseMark = "lease:"

func isLease(held string) bool { return strings.HasPrefix(held, leaseMark) }

// encode writes entry as version:state:body, the version in decimal and the body as it is.
func encode(entry cache.Entry) string {
	var b strings.Builder
	b.Grow(len("9223372036854775807:L:") + len(entry.Body))
	b.WriteString(strconv.FormatInt(entry.Version, 10))
	b.WriteByte(':')
	b.WriteByte(byte(entry.State))
	b.WriteByte(':')
	b.Write(entry.Body)
	return b.String()
}

// decode reads what encode has written. Anything else is no entry.
func decode(held string) (cache.Entry, bool) {
	digits, rest, _ := strings.Cut(held, ":")
	state, body, ok := strings.Cut(rest, ":")
	version, err := strconv.ParseUint(digits, 10, 63)
	if !ok || err != nil {
		return cache.Entry{}, false
	}
	switch state {
	case string(cache.Live), string(cache.Gone), string(cache.Absent), string(cache.Pending):
		return cache.Entry{Version: int64(version), State: cache.State(state[0]), Body: []byte(body)}, true
	default:
		return cache.Entry{}, false
	}
}
