package contacts

import (
	"context"
	"log/slog"
	"time"
)

// How a shared cache is kept from being trusted when it may be stale.
//
// A reader trusts the cache for trustTTL after it last saw that trust renewed; a reconciler
// renews it for renewedFor at a time. So TrustLimit after the last reconciler has learned of
// an outage no reader trusts the cache any more. The rest of TrustLimit allows for clocks that
// differ between machines.
const (
	keepEvery  = 250 * time.Millisecond
	renewedFor = time.Second
	// TrustTTL is how long a reader may trust the cache without seeing anew that a
	// worker renewed the trust.
	TrustTTL = 750 * time.Millisecond
	// TrustLimit is how long an outage has to be declared before anything is committed that
	// the cache is not told of.
	TrustLimit = renewedFor + TrustTTL + lookLimit + 500*time.Millisecond
	// OutageLinger is how long an outage goes on after TrustLimit, or after the last
	// invalidation.
	OutageLinger = 5 * time.Second
	// lookLimit is how long a reconciler waits for the database before it takes it for down.
	lookLimit = 500 * time.Millisecond
)

// Reconciler keeps a shared cache in step with the database. As long as no outage is declared
// it renews the trust in the cache; while one is, it settles the pending invalidations, which
// are the contacts that were written without telling the cache, and then ends the outage.
// Every process that can reach both runs one.
type Reconciler struct {
	invalidations Invalidations
	repository    Repository
	cache         Cache
	log           *slog.Logger
	now           func() time.Time

	clear time.Time // when no outage was declared, as far as is known; zero: never
}

// NewReconciler returns a reconciler. repository must not answer from the cache. Neither it
// nor invalidations may have to wait for connections that others use: a database that is slow
// for them would be taken for one that is down. now is the clock; time.Now where nil.
func NewReconciler(invalidations Invalidations, repository Repository, cache Cache, log *slog.Logger, now func() time.Time) *Reconciler {
	if now == nil {
		now = time.Now
	}
	return &Reconciler{invalidations: invalidations, repository: repository, cache: cache, log: log, now: now}
}

// Run keeps the cache until ctx ends.
func (r *Reconciler) Run(ctx context.Context) {
	ticker := time.NewTicker(keepEvery)
	defer ticker.Stop()
	for ctx.Err() == nil {
		if err := r.Reconcile(ctx); err != nil && ctx.Err() == nil {
			r.log.DebugContext(ctx, "trust in the cache not renewed", "error", err)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
		}
	}
}

// invalidateAtOnce is how many invalidations are paid in one go.
const invalidateAtOnce = 500

// Reconcile renews the trust in the cache, or settles a part of the pending invalidations. It
// is to be called by one goroutine.
//
// While the database cannot be asked, nothing can be committed either, so that what is cached
// stays true, if it was so before, and is renewed: by a reconciler that has looked all the
// time, and last saw no outage. (The exception is a reconciler that is cut off from a database
// that a worker still reaches, while that worker is cut off from the cache.)
func (r *Reconciler) Reconcile(ctx context.Context) error {
	asked := r.now()
	looking, cancel := context.WithTimeout(ctx, lookLimit)
	outage, pending, err := r.invalidations.PendingInvalidations(looking, invalidateAtOnce)
	cancel()
	if outage { // even if the rest cannot be told
		r.clear = time.Time{}
	}
	switch {
	case err == nil && outage:
	case err == nil, asked.Sub(r.clear) < TrustLimit-lookLimit:
		// A worker that declared an outage since has to wait for TrustLimit before it writes
		// without the cache, and by then the database has either told of it or gone.
		r.clear = asked
		return r.cache.RenewTrust(ctx, asked.Add(renewedFor))
	default:
		return err
	}
	documents := make([]Document, 0, len(pending))
	for _, invalidation := range pending {
		document, err := r.repository.Document(ctx, invalidation.Tenant, invalidation.ID)
		if err != nil {
			return err
		}
		documents = append(documents, document)
	}
	if err := r.cache.Refresh(ctx, documents); err != nil {
		return err
	}
	// Tells whether the cache can be reached, also where nothing is pending. It renews the
	// trust for nothing.
	if err := r.cache.RenewTrust(ctx, asked.Add(-renewedFor)); err != nil {
		return err
	}
	return r.invalidations.RemoveInvalidations(ctx, pending, r.now())
}
