package contacts

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// Processor is the worker's use case: it applies commands, refreshes the cache and notifies
// the waiting callers. All methods may be called concurrently.
type Processor struct {
	ledger        Ledger
	parking       Parking
	invalidations Invalidations
	cache         Cache
	notices       Notices
	ended         Ended
	log           *slog.Logger
	now           func() time.Time
}

// Ended is told of the outcome of each command that is done.
type Ended func(ctx context.Context, command Command, outcome Outcome)

// NewProcessor returns a processor, which tells ended, unless nil, of what it has done. now is
// the clock; time.Now where nil.
func NewProcessor(
	ledger Ledger, parking Parking, invalidations Invalidations, cache Cache, notices Notices, ended Ended, log *slog.Logger, now func() time.Time,
) *Processor {
	if now == nil {
		now = time.Now
	}
	if ended == nil {
		ended = func(context.Context, Command, Outcome) {}
	}
	return &Processor{ledger, parking, invalidations, cache, notices, ended, log, now}
}

// ErrBlocked is the error of a command that was not tried because an earlier one of its
// contact has to be tried again.
var ErrBlocked = errors.New("an earlier command of the contact is not done")

// Process applies the commands, those of one contact in the given order, and returns one error
// for each: nil means done, whether it succeeded or failed in the domain's eyes, so that its
// message can be deleted. With any other it is to be processed again, before later commands of
// its contact: [ErrDown] and [ErrTransient] blame the circumstances, [ErrBlocked] an earlier
// command, the rest the command itself. [ErrDown] says that nothing else has failed before.
func (p *Processor) Process(ctx context.Context, commands []Command) []error {
	errs := make([]error, len(commands))
	waiting, groups := make([]int, len(commands)), make([]string, len(commands))
	for i, command := range commands {
		waiting[i], groups[i] = i, command.Group()
	}
	blocked := map[string]bool{} // by message group
	a := attempt{commands: commands, errs: errs}
	for len(waiting) > 0 {
		var round []int
		round, waiting = nextRound(commands, groups, waiting)
		runnable := round[:0]
		for _, i := range round {
			if blocked[groups[i]] {
				errs[i] = ErrBlocked
				continue
			}
			runnable = append(runnable, i)
		}
		p.apply(ctx, &a, runnable)
		for _, i := range runnable {
			if errs[i] != nil {
				blocked[groups[i]] = true
			}
		}
	}
	return errs
}

// nextRound takes from waiting the first command of each message group and of each operation.
// Upserts have rounds of their own: they may be of the same contacts as others.
func nextRound(commands []Command, groups []string, waiting []int) (round, rest []int) {
	upserts := commands[waiting[0]].Kind == Upsert
	taken, operations := map[string]bool{}, map[OperationKey]bool{}
	for _, i := range waiting {
		operation := OperationKey{commands[i].Tenant, commands[i].Operation}
		if taken[groups[i]] || operations[operation] || (commands[i].Kind == Upsert) != upserts {
			rest = append(rest, i)
		} else {
			round = append(round, i)
		}
		// Marked either way: what stays behind holds back what comes after it.
		taken[groups[i]], operations[operation] = true, true
	}
	return round, rest
}

// attempt is the state of one [Processor.Process].
type attempt struct {
	commands []Command
	errs     []error
	failed   bool // a part has failed though the database was there
}

// blame returns the error of a part as it is to be reported. Once another part has failed for
// a reason of its own, the database was there: what says now that it is down, a deadline that
// the failures have used up above all, is a failure that counts, or a few commands that fail
// slowly would hold the whole attempt for as long as they do.
func (a *attempt) blame(err error) error {
	down := errors.Is(err, ErrDown) || errors.Is(err, context.DeadlineExceeded)
	if !down {
		a.failed = true
	}
	if down && a.failed {
		// and no longer ErrDown
		return fmt.Errorf("%w: after other commands had failed: %s", ErrTransient, err.Error())
	}
	return err
}

// apply commits the commands at the given indexes together or, if that fails, in ever smaller
// parts, until the one that is to blame stands alone.
func (p *Processor) apply(ctx context.Context, a *attempt, indexes []int) {
	if len(indexes) == 0 {
		return
	}
	batch := make([]Command, len(indexes))
	for k, i := range indexes {
		batch[k] = a.commands[i]
	}
	outcomes, err := p.ledger.Apply(ctx, batch, p.now(), p.cache.Announce)
	if err == nil {
		p.publish(ctx, batch, outcomes)
		return
	}
	hopeless := errors.Is(err, ErrDown) || ctx.Err() != nil // splitting cannot help
	err = a.blame(err)
	if len(indexes) == 1 || hopeless {
		for _, i := range indexes {
			a.errs[i] = fmt.Errorf("apply command of operation %s: %w", a.commands[i].Operation, err)
		}
		return
	}
	half := len(indexes) / 2
	p.apply(ctx, a, indexes[:half])
	p.apply(ctx, a, indexes[half:])
}

// publish makes what was committed visible, the cache before the notices, so that a notified
// caller reads its own write. A cache that cannot be told may have lost the mark too that the
// commit was announced by, when it was restarted in between say, and be filled with what was
// before: the documents are noted as pending invalidations, so that no reader trusts it until
// it has them.
func (p *Processor) publish(ctx context.Context, batch []Command, outcomes []Outcome) {
	ctx = context.WithoutCancel(ctx) // it is committed: a shutdown must not keep it from being told
	documents := make([]Document, 0, len(outcomes))
	notices := make([]Notice, 0, len(outcomes))
	for i, outcome := range outcomes {
		if outcome.Current.State != Absent {
			documents = append(documents, outcome.Current)
		}
		if batch[i].ReplyTo != "" {
			notices = append(notices, Notice{Address: batch[i].ReplyTo, Operation: outcome.Operation})
		}
	}
	if err := p.cache.Refresh(ctx, documents); err != nil {
		p.log.WarnContext(ctx, "cache not refreshed after a commit", "documents", len(documents), "error", err)
		if err := p.invalidations.AddInvalidations(ctx, documents); err != nil {
			p.log.ErrorContext(ctx, "what the cache misses not noted", "documents", len(documents), "error", err)
		}
	}
	p.notify(ctx, notices)
	for i, outcome := range outcomes {
		p.ended(ctx, batch[i], outcome)
	}
}

func (p *Processor) notify(ctx context.Context, notices []Notice) {
	if err := p.notices.Notify(ctx, notices); err != nil {
		p.log.WarnContext(ctx, "waiting callers not notified; they will ask the database", "notices", len(notices), "error", err)
	}
}
