package contacts

import (
	"context"
	"log/slog"
	"time"
)

// How a shared cache is kept from being trusted when it may be stale.
//
// A reader trusts the cache for trustTTL after it last saw somebody vouch for it; a keeper vouches for vouchTTL at a time.
// So TrustLimit after the last keeper has learned of an outage nobody trusts the cache any more, whatever is in it. The
// rest of TrustLimit allows for clocks that differ between machines.
const (
	keepEvery = 250 * time.Millisecond
	vouchTTL  = time.Second
	// TrustTTL is how long a reader may trust the cache without seeing anew that somebody vouches for it.
	TrustTTL = 750 * time.Millisecond
	// TrustLimit is how long an outage has to be declared before anything is committed that the cache is not told of.
	TrustLimit = vouchTTL + TrustTTL + lookLimit + 500*time.Millisecond
	// OutageLinger is how long an outage goes on after TrustLimit, or after the last debt.
	OutageLinger = 5 * time.Second
	// lookLimit is how long a keeper waits for the database before it takes it for down.
	lookLimit = 500 * time.Millisecond
)

// Keeper keeps a shared cache in step with the database. As long as no outage is declared it vouches for the cache; while
// one is, it pays the debts, which are the contacts that were written without telling the cache, and then ends the outage.
// Every process that can reach both runs one.
type Keeper struct {
	debts      Debts
	repository Repository
	cache      Cache
	log        *slog.Logger
	now        func() time.Time

	clear time.Time // when no outage was declared, as far as is known; zero: never
}

// NewKeeper returns a keeper. repository must not answer from the cache. Neither it nor debts may have to wait for
// connections that others use: a database that is slow for them would be taken for one that is down. now is the clock;
// time.Now where nil.
func NewKeeper(debts Debts, repository Repository, cache Cache, log *slog.Logger, now func() time.Time) *Keeper {
	if now == nil {
		now = time.Now
	}
	return &Keeper{debts: debts, repository: repository, cache: cache, log: log, now: now}
}

// Run keeps the cache until ctx ends.
func (k *Keeper) Run(ctx context.Context) {
	ticker := time.NewTicker(keepEvery)
	defer ticker.Stop()
	for ctx.Err() == nil {
		if err := k.Keep(ctx); err != nil && ctx.Err() == nil {
			k.log.DebugContext(ctx, "cache not vouched for", "error", err)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
		}
	}
}

// payAtOnce is how many debts are paid in one go.
const payAtOnce = 500

// Keep vouches for the cache, or pays a part of the debts. It is to be called by one goroutine.
//
// While the database cannot be asked, nothing can be committed either, so that what is cached stays true, if it was so
// before, and is vouched for: by a keeper that has looked all the time, and last saw no outage. (The exception is a keeper
// that is cut off from a database that a worker still reaches, while that worker is cut off from the cache.)
func (k *Keeper) Keep(ctx context.Context) error {
	asked := k.now()
	looking, cancel := context.WithTimeout(ctx, lookLimit)
	outage, owed, err := k.debts.Owed(looking, payAtOnce)
	cancel()
	if outage { // whatever else cannot be told
		k.clear = time.Time{}
	}
	switch {
	case err == nil && outage:
	case err == nil, asked.Sub(k.clear) < TrustLimit-lookLimit:
		// Whoever declared an outage since has to wait for TrustLimit before it writes without the cache, and by then the
		// database has either told of it or gone.
		k.clear = asked
		return k.cache.Vouch(ctx, asked.Add(vouchTTL))
	default:
		return err
	}
	documents := make([]Document, 0, len(owed))
	for _, debt := range owed {
		document, err := k.repository.Document(ctx, debt.Tenant, debt.ID)
		if err != nil {
			return err
		}
		documents = append(documents, document)
	}
	if err := k.cache.Refresh(ctx, documents); err != nil {
		return err
	}
	// Tells whether the cache can be reached, also where nothing is owed. It vouches for nothing.
	if err := k.cache.Vouch(ctx, asked.Add(-vouchTTL)); err != nil {
		return err
	}
	return k.debts.Settle(ctx, owed, k.now())
}
