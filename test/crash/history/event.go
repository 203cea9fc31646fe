// Package history records what callers of the service asked and were answered, and checks it
// against what the service holds in the end. The check is a pure function: it knows the
// promises, and nothing of how they are kept.
package history

import "time"

// Type is what an [Event] says of its call.
type Type string

// The types of events. A call has one Invoke, any number of Retry, at most one Accepted, and
// at most one of OK, Fail and Unknown, which ends it. After an OK its caller may use its key
// again: each Repeat and Reuse has what that was answered.
const (
	Invoke   Type = "invoke"   // it is about to be sent for the first time
	Retry    Type = "retry"    // it is about to be sent again, under the same idempotency key
	Accepted Type = "accepted" // it was answered 202
	OK       Type = "ok"       // it is done
	Fail     Type = "fail"     // it is refused, and nothing was done
	Unknown  Type = "unknown"  // whether it is done will not be known
	// the very same request was sent again, under the same idempotency key, after it was done
	Repeat Type = "repeat"
	// another payload was sent under its idempotency key, after it was done
	Reuse Type = "reuse"
	Fault Type = "fault" // no call: something was done to the service
)

// Kind is what a call asks for.
type Kind string

// The kinds of calls.
const (
	Create  Kind = "create"
	Replace Kind = "replace"
	Patch   Kind = "patch"
	Delete  Kind = "delete"
	Read    Kind = "read"
)

// Event is one line of a history. What happened before an event stands before it: an answer is
// recorded before a caller acts on it, and a request before it is sent.
type Event struct {
	At   time.Duration `json:"at"` // since the history began; for people
	Type Type          `json:"type"`
	Call int           `json:"call,omitempty"` // counts from 1

	// With Invoke.
	Kind Kind `json:"kind,omitempty"`
	// also with the OK of a create, and with a Repeat whose answer carried it
	Contact string `json:"contact,omitempty"`
	// the custom field that the write sets beside "last"; see [Document]
	Slot    string `json:"slot,omitempty"`
	Key     string `json:"key,omitempty"` // Idempotency-Key
	IfMatch int64  `json:"if_match,omitempty"`
	Async   bool   `json:"async,omitempty"` // Prefer: respond-async

	Replica string `json:"replica,omitempty"` // which was asked
	// with Accepted; also of a Repeat and a Reuse that were answered 202
	Operation string `json:"operation,omitempty"`
	// of the HTTP answer, or that the operation's problem names
	Status int `json:"status,omitempty"`
	// the kind of the problem, or how the connection failed
	Problem string `json:"problem,omitempty"`
	// with OK and Repeat; of a Fail: the current version that it told
	Version int64 `json:"version,omitempty"`
	Found   bool  `json:"found,omitempty"` // with the OK of a read
	// with OK and Repeat, where the answer carried the contact
	Document Document `json:"document,omitempty"`

	Note string `json:"note,omitempty"` // with Fault
}

// Document is what a contact's custom fields hold: "last" has the tag of the write that made
// the version, and each slot the tag of the last write of that slot. A patch keeps the other
// slots, a replacement empties them.
type Document map[string]string

// Last is the custom field with the tag of the write that made the version.
const Last = "last"

// Final is what the service holds after everything has settled.
type Final struct {
	Contacts   map[string]Contact
	Changes    []Change // in the order of their sequence numbers
	Operations map[string]Operation
	Cached     map[string]Cached // what Redis holds; contacts that it does not hold are not there
	Served     []Served          // what the API answers
	Parked     int               // commands that were set aside
}

// Contact is a row of the table contacts.
type Contact struct {
	Version  int64
	Deleted  bool
	Document Document
}

// Change is a row of the table contact_changes.
type Change struct {
	Contact   string
	Version   int64
	Operation string
	Document  Document // nil for a deletion
}

// Operation is a row of the table operations.
type Operation struct {
	Kind      string
	Contact   string
	Succeeded bool
	Version   int64
	Problem   string // the kind of the problem that ended it; "" where it has succeeded
}

// Cached is an entry of Redis.
type Cached struct {
	Version  int64
	State    string // live, gone or absent
	Document Document
}

// Served is what one replica answers for a contact. Document is nil where it finds none.
type Served struct {
	Replica  string
	Contact  string
	Version  int64
	Document Document
}
