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

// ward is what a keeper keeps: debts, and a cache that records.
type ward struct {
	outage    bool
	owed      []contacts.Document
	owedErr   error
	cacheErr  error
	vouched   []time.Time
	refreshed []contacts.Document
	settled   []contacts.Document
}

func (w *ward) Owed(context.Context, int) (bool, []contacts.Document, error) {
	return w.outage, w.owed, w.owedErr
}

func (w *ward) Owe(context.Context, []contacts.Document) error { return nil }

func (w *ward) Settle(_ context.Context, owed []contacts.Document, _ time.Time) error {
	w.settled = append(w.settled, owed...)
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

func (w *ward) Vouch(_ context.Context, until time.Time) error {
	w.vouched = append(w.vouched, until)
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
	keeper := contacts.NewKeeper(w, model, w, slog.New(slog.DiscardHandler), func() time.Time { return now })

	require.NoError(t, keeper.Keep(t.Context()))
	require.True(t, w.vouched[0].After(now), "without an outage it vouches")
	w.owedErr = errors.New("database down")
	require.NoError(t, keeper.Keep(t.Context()))
	require.True(t, w.vouched[1].After(now), "where nothing can be committed nothing gets stale")
	for range 20 {
		now = now.Add(time.Second)
		require.NoError(t, keeper.Keep(t.Context()), "however long, if it looks all the time")
	}
	w.vouched = nil
	now = now.Add(contacts.TrustLimit)
	require.Error(t, keeper.Keep(t.Context()))
	require.Empty(t, w.vouched, "it stood still: there may have been an outage before the database went")
	w.owedErr = nil
	require.NoError(t, keeper.Keep(t.Context()))
	require.Len(t, w.vouched, 1)

	w.owedErr, w.outage, w.owed, w.cacheErr = nil, true, []contacts.Document{{Tenant: create.Tenant, ID: create.Contact, Version: 1}}, errors.New("frozen")
	w.vouched = nil
	require.Error(t, keeper.Keep(t.Context()))
	require.Empty(t, w.settled, "what could not be paid is still owed")

	w.owed = nil
	require.Error(t, keeper.Keep(t.Context()))
	require.True(t, w.outage, "nor is an outage without debts over before the cache can be reached")

	w.owed, w.cacheErr, w.refreshed = []contacts.Document{{Tenant: create.Tenant, ID: create.Contact, Version: 1}}, nil, nil
	require.NoError(t, keeper.Keep(t.Context()))
	require.Equal(t, []contacts.Document{document}, w.refreshed, "the document as it is now")
	require.Equal(t, w.owed, w.settled)
	for _, until := range w.vouched {
		require.False(t, until.After(now), "and all that time it vouched for nothing")
	}
	w.vouched, w.owedErr = nil, errors.New("database down")
	require.Error(t, keeper.Keep(t.Context()))
	require.Empty(t, w.vouched, "nor when the database goes down during an outage")

	w.owedErr = nil
	require.NoError(t, keeper.Keep(t.Context()))
	require.Len(t, w.vouched, 1)
	w.vouched, w.outage, w.owedErr = nil, true, errors.New("the database went down when the outage had been seen")
	require.Error(t, keeper.Keep(t.Context()))
	w.outage = false
	require.Error(t, keeper.Keep(t.Context()))
	require.Empty(t, w.vouched, "what was seen of an outage counts, whatever came after it")
}
