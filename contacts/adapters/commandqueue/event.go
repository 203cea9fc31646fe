package commandqueue

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/google/uuid"

	"contacts/contacts"
)

// event is a command as a CloudEvent in the JSON format (CloudEvents 1.0). tenant, replyto,
// fingerprint and traceparent are extension attributes, the last one that of the Distributed
// Tracing extension.
//
// Data is encoded along with it, but decoded only once it is known what it is.
type event[D data | json.RawMessage] struct {
	SpecVersion     string          `json:"specversion"`
	ID              uuid.UUID       `json:"id"` // the operation
	Source          string          `json:"source"`
	Type            string          `json:"type"`
	Subject         uuid.UUID       `json:"subject"` // the contact
	Time            time.Time       `json:"time"`
	DataContentType string          `json:"datacontenttype"`
	Tenant          contacts.Tenant `json:"tenant"`
	ReplyTo         string          `json:"replyto,omitempty"`
	Fingerprint     string          `json:"fingerprint,omitempty"`
	TraceParent     string          `json:"traceparent,omitempty"`
	Data            D               `json:"data"`
}

// data is what only some kinds of commands carry.
type data struct {
	Fields  *contacts.Fields `json:"fields,omitempty"`
	Patch   contacts.Patch   `json:"patch,omitempty"`
	IfMatch []int64          `json:"if_match,omitempty"`
	Region  string           `json:"region,omitempty"`
}

const (
	specVersion = "1.0"
	source      = "/contacts"
	typePrefix  = "contacts.command."
	typeSuffix  = ".v1"
	contentType = "application/json"
)

func eventType(kind contacts.CommandKind) string { return typePrefix + string(kind) + typeSuffix }

func encode(c contacts.Command) ([]byte, error) {
	d := data{Patch: c.Patch, IfMatch: c.IfMatch, Region: c.Region}
	if c.Kind == contacts.Create || c.Kind == contacts.Replace || c.Kind == contacts.Upsert {
		d.Fields = &c.Fields
	}
	body, err := contacts.Encode(event[data]{
		SpecVersion: specVersion, ID: c.Operation, Source: source, Type: eventType(c.Kind),
		Subject: c.Contact, Time: c.AcceptedAt, DataContentType: contentType, Tenant: c.Tenant, ReplyTo: c.ReplyTo,
		Fingerprint: c.Fingerprint, TraceParent: c.TraceParent, Data: d,
	})
	if err != nil {
		return nil, err
	}
	return escape(body), nil
}

// escape writes what a queue's transport may not take as JSON escapes (RFC 8259, section 7):
// the noncharacters U+FFFE and U+FFFF, which SQS refuses, and characters beyond them, which
// some of its emulators do.
func escape(body []byte) []byte {
	// with which they begin in UTF-8, as others do
	if !slices.ContainsFunc(body, func(b byte) bool { return b >= 0xEF }) {
		return body
	}
	escaped := make([]byte, 0, len(body)+64)
	for _, r := range string(body) { // valid UTF-8, since it was encoded as JSON
		switch {
		case !outsideTransport(r):
			escaped = utf8.AppendRune(escaped, r)
		case r > 0xFFFF:
			high, low := utf16.EncodeRune(r)
			escaped = fmt.Appendf(escaped, `\u%04x\u%04x`, high, low)
		default:
			escaped = fmt.Appendf(escaped, `\u%04x`, r)
		}
	}
	return escaped
}

func outsideTransport(r rune) bool { return r >= 0xFFFE }

// decode reads a command. It refuses members of data that it does not know: a newer version
// wrote them, and applying the command without them would lose a part of the write. Its errors
// hold none of the data. With an error it returns what can be told of the command, so that its
// operation can be ended; nil if not even its operation is known.
func decode(body []byte) (*contacts.Command, error) {
	var e event[json.RawMessage]
	if err := json.Unmarshal(body, &e); err != nil {
		return nil, errors.New("message is not a CloudEvent in JSON")
	}
	if e.ID == uuid.Nil || e.Subject == uuid.Nil || e.Tenant.Validate() != nil {
		return nil, fmt.Errorf("message %s lacks its id, its subject or a tenant that can be", e.ID)
	}
	command := contacts.Command{
		Operation: e.ID, Tenant: e.Tenant, Contact: e.Subject, AcceptedAt: e.Time, Fingerprint: e.Fingerprint,
		ReplyTo: e.ReplyTo, TraceParent: e.TraceParent,
	}
	kind := contacts.CommandKind(strings.TrimSuffix(strings.TrimPrefix(e.Type, typePrefix), typeSuffix))
	if e.SpecVersion != specVersion || e.Type != eventType(kind) {
		return &command, fmt.Errorf("message %s is of an unknown type or CloudEvents version", e.ID)
	}
	command.Kind = kind
	var d data
	decoder := json.NewDecoder(bytes.NewReader(e.Data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&d); err != nil {
		return &command, fmt.Errorf("message %s has data that this version does not know", e.ID)
	}
	var needsFields, needsPatch bool
	switch kind {
	case contacts.Create, contacts.Replace, contacts.Upsert:
		needsFields = true
	case contacts.Merge:
		needsPatch = true
	case contacts.Delete, contacts.Erase:
	default:
		return &command, fmt.Errorf("message %s is of an unknown type", e.ID)
	}
	if needsFields != (d.Fields != nil) || needsPatch != (d.Patch != nil) {
		return &command, fmt.Errorf("message %s has not the data of its type", e.ID)
	}
	if needsFields {
		command.Fields = *d.Fields
	}
	command.Patch, command.IfMatch, command.Region = d.Patch, d.IfMatch, d.Region
	return &command, nil
}
