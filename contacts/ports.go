package contacts

import (
	"context"
	"time"

	"github.com/google/uuid"
)

// Repository answers questions about the committed state. Every method sees all that was
// committed before it was called, of the tenant that it is given, without which it cannot be
// called: see [Tenant.Validate]. Errors are an [Error] of [KindUnavailable] when the database
// cannot be asked, or the context's.
type Repository interface {
	// Document returns one contact. One that is not there, or deleted, is no error but a
	// state.
	Document(ctx context.Context, tenant Tenant, id uuid.UUID) (Document, error)

	// List returns up to query.Limit live contacts in the query's order, each once, from after
	// query.After on. They may be fewer, or none, although the list goes on: then finding more
	// would have taken too long at a time, or the documents have [MaxPageBytes].
	List(ctx context.Context, tenant Tenant, query Query) (Listing, error)

	// Count returns how many contacts the query lets through, wherever the page is that it
	// asks for, up to [MaxCount].
	Count(ctx context.Context, tenant Tenant, query Query) (Count, error)

	// Operation returns an ended operation, with its Document, or as [Operation.Erased] where
	// its contact was erased; found is false for one that has not ended.
	Operation(ctx context.Context, tenant Tenant, id uuid.UUID) (operation Operation, found bool, err error)
}

// Ledger applies commands to the committed state.
type Ledger interface {
	// Apply applies the commands in one transaction: all of them are committed, or none. No
	// two may be of one contact, nor of one operation, and either all or none may be an
	// [Upsert], no two of one external id; each has to have a valid tenant. A command whose
	// operation has been applied before changes nothing. For each command it returns the
	// outcome, in the commands' order; what the domain refuses is an outcome too.
	//
	// An [Erase] that the domain does not refuse also removes, for good, all documents of the
	// contact from the changes, and its parked commands, and leaves the operations on it as
	// [Operation.Erased].
	//
	// Before the commit, while the rows are written, and behind them where contacts are
	// erased, it calls announce, unless nil, with the documents that the commit will make, or
	// erase the past of, and with the operations whose requests must be forgotten, if there
	// are any. If that returns [ErrCacheDown], the documents are noted as pending
	// invalidations in the transaction itself; but unless the outage has been declared for
	// [TrustLimit], so that no reader trusts the cache any more, it is declared instead, and
	// the transaction undone with [ErrDown]. An [Erase] waits until the cache is back: its
	// transaction is undone with [ErrTransient]. Any other error of announce undoes the
	// transaction and is returned.
	//
	// Its error says how to go on: see [ErrTransient] and [ErrDown]. Any other error may be
	// the fault of a single command, so that the others may pass without it.
	Apply(ctx context.Context, commands []Command, now time.Time, announce Announce) ([]Outcome, error)
}

// Invalidations are what the cache missed while it could not be reached; see [Reconciler].
type Invalidations interface {
	// PendingInvalidations reports whether an outage of the cache is declared and, if so, up
	// to limit of the documents it missed, by tenant, id and version. An outage that is
	// declared is reported also with an error, which says that the pending ones cannot be
	// read.
	PendingInvalidations(ctx context.Context, limit int) (outage bool, pending []Document, err error)

	// AddInvalidations notes that the cache misses documents that are committed, and declares
	// an outage if none is: for a commit that was announced, and of which the cache could not
	// be told then. One that is pending in a newer version stays.
	AddInvalidations(ctx context.Context, documents []Document) error

	// RemoveInvalidations removes invalidations, but not those of a newer version since, and
	// ends the outage if none is left and none has come for [OutageLinger]: a worker that
	// alone cannot reach the cache needs that time to write at all.
	RemoveInvalidations(ctx context.Context, pending []Document, now time.Time) error
}

// Announce is told what a transaction is about to commit: documents, and that the requests of
// operations are forgotten, because their contacts are erased, or not there.
type Announce func(ctx context.Context, documents []Document, forgotten []OperationKey) error

// Queue takes commands to the workers, in order for each contact.
type Queue interface {
	// Send returns nil once the command is stored durably: it will then be applied. It returns
	// an [Error] of [KindUnavailable] when nothing happened, of [KindUncertain] when that is
	// not known, and of [KindInvalid] when the command can never be sent.
	Send(ctx context.Context, command Command) error
}

// Cache holds documents nearer than the repository does.
type Cache interface {
	// Announce marks documents that are about to be committed, so that until they are
	// refreshed, or the mark has ended by itself, their readers ask the repository: a worker
	// that dies between the commit and the refresh leaves no stale document. It voids the
	// records of forgotten operations: see [PendingOperations]. It returns an error that wraps
	// [ErrCacheDown].
	Announce(ctx context.Context, documents []Document, forgotten []OperationKey) error

	// Refresh stores the outcomes of commands that were just committed. Older ones never
	// replace newer ones.
	Refresh(ctx context.Context, documents []Document) error

	// RenewTrust says that until the given time the cache holds nothing that is stale. Readers
	// trust it only as long as a worker does.
	RenewTrust(ctx context.Context, until time.Time) error
}

// Notices carry the ends of operations from the worker to the API that waits for them. They
// may be lost.
type Notices interface {
	// Notify tells each address the ends of its operations.
	Notify(ctx context.Context, notices []Notice) error
}

// Notice is an ended operation on its way to the address that its command named in ReplyTo.
type Notice struct {
	Address   string
	Operation Operation
}

// Outcomes is the API's end of [Notices].
type Outcomes interface {
	// Address is what commands carry as ReplyTo, so that their notices arrive here.
	Address() string

	// Expect announces a caller that waits for the operation's end. It is sent at most once;
	// the caller calls stop when it waits no more. It is to be called before the command is
	// sent.
	Expect(tenant Tenant, operation uuid.UUID) (ended <-chan Operation, stop func())
}

// PendingOperations keeps a record of each operation that has not ended, for twice
// [CommandsKept] at the most: a record may vanish. Then a retry may name another contact than
// the first request.
type PendingOperations interface {
	// Claim records an operation before its command is sent, unless it has a record, and
	// returns the recorded one: the first under its idempotency key. A fingerprint other than
	// the caller's means that the key was used with another request. The contact of a [Create]
	// is the recorded one's, or uuid.Nil if that is not known. An operation whose request was
	// forgotten is not recorded again: the caller's is returned, without a contact. It returns
	// an [Error] of [KindUnavailable] if the record cannot be read.
	//
	// If the process ends between Claim and the send, the operation is shown as pending, and
	// later as [Expired], although its command was never accepted. A retry under the same key
	// resumes it.
	Claim(ctx context.Context, operation Operation) (holder Operation, err error)

	// Withdraw removes the record that Claim has made of this very operation, whose command
	// was not accepted, unless a retry has noted it since. A caller whose Claim has returned
	// another holder must not call it.
	Withdraw(ctx context.Context, operation Operation) error

	// Note records an operation whose command may have been accepted. Of two the later one
	// stays.
	Note(ctx context.Context, operation Operation) error

	// Pending returns a recorded operation, without its fingerprint; found is false if it has
	// no record. It returns an [Error] of [KindUnavailable] if that cannot be told, which
	// includes operations whose requests were forgotten.
	Pending(ctx context.Context, tenant Tenant, id uuid.UUID) (operation Operation, found bool, err error)
}
