package contacts

import (
	"bytes"
	"encoding/json"
)

// Encode encodes v as JSON as the service does everywhere: without the escapes that only HTML
// needs, and without a final newline. JSON within v stays as it is, byte for byte.
func Encode(v any) (json.RawMessage, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
