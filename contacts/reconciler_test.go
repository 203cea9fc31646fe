package contacts_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"contacts/contacts"
	"contacts/contacts/contactstest"
)

// ward is what a reconciler works on: pending invalidations, and a cache that records.
type ward struct {
	outage     bool
	pending    []contacts.Document
	pendingErr error
	cacheErr   error
	trusted    []time.Time
	refreshed  []contacts.Document
	settled    []contacts.Document
}

func (w *ward) PendingInvalidations(context.Context, int) (bool, []contacts.Document, error) {
	return w.outage, w.pending, w.pendingErr
}

func (w *ward) AddInvalidations(context.Context, []contacts.Document) error { return nil }

func (w *ward) RemoveInvalidations(_ context.Context, pending []contacts.Document, _ time.Time) error {
	w.settled = append(w.settled, pending...)
	w.outage = false
	return nil
}

func (w *ward) Announce(context.Context, []contacts.Document, []contacts.OperationKey) error {
	return nil
}

func (w *ward) Refresh(_ context.Context, documents []contacts.Document) error {
	w.refreshed = append(w.refreshed, documents...)
	return w.cacheErr
}

func (w *ward) RenewTrust(_ context.Context, until time.Time) error {
	w.trusted = append(w.trusted, until)
	return w.cacheErr
}

func TestKeeper(t *testing.T) {
	model := contactstest.NewModel()
	create := contactstest.CreateCommand(t, contacts.DefaultTenant, contactstest.Jane(t))
	outcomes, err := model.Apply(t.Context(), []contacts.Command{create}, time.Now(), nil)
	require.NoError(t, err)
	document := outcomes[0].Current
	now := time.Now()
	w := &ward{}
	reconciler := contacts.NewReconciler(w, model, w, slog.New(slog.DiscardHandler), func() time.Time { return now })

	require.NoError(t, reconciler.Reconcile(t.Context()))
	require.True(t, w.trusted[0].After(now), "without an outage it renews the trust")
	w.pendingErr = errors.New("database down")
	require.NoError(t, reconciler.Reconcile(t.Context()))
	require.True(t, w.trusted[1].After(now), "where nothing can be committed nothing gets stale")
	for range 20 {
		now = now.Add(time.Second)
		require.NoError(t, reconciler.Reconcile(t.Context()), "however long, if it looks all the time")
	}
	w.trusted = nil
	now = now.Add(contacts.TrustLimit)
	require.Error(t, reconciler.Reconcile(t.Context()))
	require.Empty(t, w.trusted, "it stood still: there may have been an outage before the database went")
	w.pendingErr = nil
	require.NoError(t, reconciler.Reconcile(t.Context()))
	require.Len(t, w.trusted, 1)

	w.pendingErr, w.outage, w.pending, w.cacheErr = nil, true, []contacts.Document{{Tenant: create.Tenant, ID: create.Contact, Version: 1}}, errors.New("frozen")
	w.trusted = nil
	require.Error(t, reconciler.Reconcile(t.Context()))
	require.Empty(t, w.settled, "what could not be refreshed is still pending")

	w.pending = nil
	require.Error(t, reconciler.Reconcile(t.Context()))
	require.True(t, w.outage, "nor is an outage without pending invalidations over before the cache can be reached")

	w.pending, w.cacheErr, w.refreshed = []contacts.Document{{Tenant: create.Tenant, ID: create.Contact, Version: 1}}, nil, nil
	require.NoError(t, reconciler.Reconcile(t.Context()))
	require.Equal(t, []contacts.Document{document}, w.refreshed, "the document as it is now")
	require.Equal(t, w.pending, w.settled)
	for _, until := range w.trusted {
		require.False(t, until.After(now), "and all that time it renewed no trust")
	}
	w.trusted, w.pendingErr = nil, errors.New("database down")
	require.Error(t, reconciler.Reconcile(t.Context()))
	require.Empty(t, w.trusted, "nor when the database goes down during an outage")

	w.pendingErr = nil
	require.NoError(t, reconciler.Reconcile(t.Context()))
	require.Len(t, w.trusted, 1)
	w.trusted, w.outage, w.pendingErr = nil, true, errors.New("the database went down when the outage had been seen")
	require.Error(t, reconciler.Reconcile(t.Context()))
	w.outage = false
	require.Error(t, reconciler.Reconcile(t.Context()))
	require.Empty(t, w.trusted, "what was seen of an outage counts, whatever came after it")
}
