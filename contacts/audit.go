package contacts

import (
	"context"
	"log/slog"

	"github.com/google/uuid"
)

// AuditEvent is a line of the audit log: an attempted write, its caller and its outcome. It
// holds ids only, and never what is in a contact.
type AuditEvent struct {
	Subject string    // see [Caller]; "" if unknown
	Tenant  Tenant    // "" where that is not known
	Action  string    // what it was
	Contact uuid.UUID // which contact it was about; Nil: none, or not known
	Key     uuid.UUID // which API key; Nil: it was about none
	// which operation it became, by which the lines about one write are found; Nil: none
	Operation uuid.UUID
	Outcome   string // what came of it: one of the outcomes
	Problem   Kind   // why it was refused, or why it failed; "" where it did not
	Version   int64  // the contact's, which it made; 0: none
	Again     bool   // it had been done before, and has changed nothing now
	Messages  int    // how many messages it moved; 0: it was not about messages
	Request   string // the id of the request, "" where there was none
}

// The outcomes of a [AuditEvent]. Those of an operation that has ended are its [Status].
const (
	OutcomeRefused   = "refused"   // nothing has happened
	OutcomeUncertain = "uncertain" // see [KindUncertain]
	OutcomeAccepted  = "accepted"  // it is going to be applied
	OutcomeDone      = string(Succeeded)
	OutcomeFailed    = string(Failed)
)

// Log writes the event. The log should be one that leaves nothing out at any level of
// other logs.
func (d AuditEvent) Log(ctx context.Context, log *slog.Logger) {
	attrs := make([]slog.Attr, 0, 12)
	text := func(key, value string) {
		if value != "" {
			attrs = append(attrs, slog.String(key, value))
		}
	}
	id := func(key string, value uuid.UUID) {
		if value != uuid.Nil {
			attrs = append(attrs, slog.String(key, value.String()))
		}
	}
	text("subject", d.Subject)
	text("tenant", string(d.Tenant))
	text("action", d.Action)
	id("contact", d.Contact)
	id("key", d.Key)
	id("operation", d.Operation)
	text("outcome", d.Outcome)
	text("problem", string(d.Problem))
	if d.Version != 0 {
		attrs = append(attrs, slog.Int64("version", d.Version))
	}
	if d.Again {
		attrs = append(attrs, slog.Bool("again", true))
	}
	if d.Messages != 0 {
		attrs = append(attrs, slog.Int("messages", d.Messages))
	}
	text("request_id", d.Request)
	log.LogAttrs(ctx, slog.LevelInfo, "audit", attrs...)
}
