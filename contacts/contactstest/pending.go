package contactstest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"contacts/contacts"
)

// RunPending checks that a [contacts.PendingOperations] keeps what the port promises. open is
// called once for each case.
func RunPending(t *testing.T, open func(t *testing.T) contacts.PendingOperations) {
	t.Helper()
	for name, check := range map[string]func(*testing.T, contacts.PendingOperations){
		"Claim_FirstStays":        claimFirstStays,
		"Note":                    noteIsFound,
		"Note_LatestStays":        latestNoteStays,
		"Note_AfterClaim":         noteAfterClaim,
		"Withdraw":                withdraw,
		"Withdraw_NotedMeanwhile": withdrawNotedMeanwhile,
	} {
		t.Run(name, func(t *testing.T) { check(t, open(t)) })
	}
}

// newPending returns a pending operation under an idempotency key, and a later retry of it.
func newPending(t *testing.T) (first, retry contacts.Operation) {
	first = contacts.Operation{
		ID: NewID(t), Tenant: NewTenant(), Kind: contacts.Create, Contact: NewID(t), Status: contacts.Pending, Fingerprint: "f",
		AcceptedAt: time.Now().UTC().Truncate(time.Microsecond),
	}
	retry = first
	retry.Contact, retry.AcceptedAt = NewID(t), first.AcceptedAt.Add(time.Microsecond)
	return first, retry
}

func requireHolder(t *testing.T, pending contacts.PendingOperations, operation, holder contacts.Operation) {
	t.Helper()
	got, err := pending.Claim(t.Context(), operation)
	require.NoError(t, err)
	require.Equal(t, holder, got)
}

// requirePending expects that the operation is recorded, but for its fingerprint.
func requirePending(t *testing.T, pending contacts.PendingOperations, want contacts.Operation) {
	t.Helper()
	got, found, err := pending.Pending(t.Context(), want.Tenant, want.ID)
	require.NoError(t, err)
	require.True(t, found)
	want.Fingerprint = ""
	require.Equal(t, want, got)
}

func claimFirstStays(t *testing.T, pending contacts.PendingOperations) {
	first, retry := newPending(t)
	requireHolder(t, pending, first, first)
	requireHolder(t, pending, retry, first)
	other := retry
	other.Fingerprint = "another request's"
	requireHolder(t, pending, other, first)
	requirePending(t, pending, first)
	elsewhere := retry
	elsewhere.Tenant = NewTenant()
	requireHolder(t, pending, elsewhere, elsewhere)
}

func noteIsFound(t *testing.T, pending contacts.PendingOperations) {
	noted, _ := newPending(t)
	_, found, err := pending.Pending(t.Context(), noted.Tenant, noted.ID)
	require.NoError(t, err)
	require.False(t, found)
	require.NoError(t, pending.Note(t.Context(), noted), "although its absence was looked up")
	requirePending(t, pending, noted)
	_, found, err = pending.Pending(t.Context(), NewTenant(), noted.ID)
	require.NoError(t, err)
	require.False(t, found, "another tenant's operation is unknown")
}

func latestNoteStays(t *testing.T, pending contacts.PendingOperations) {
	first, retry := newPending(t)
	require.NoError(t, pending.Note(t.Context(), retry))
	require.NoError(t, pending.Note(t.Context(), first))
	requirePending(t, pending, retry)
	requireHolder(t, pending, first, retry)
}

func noteAfterClaim(t *testing.T, pending contacts.PendingOperations) {
	first, retry := newPending(t)
	requireHolder(t, pending, first, first)
	retry.Contact = first.Contact
	require.NoError(t, pending.Note(t.Context(), retry))
	requirePending(t, pending, retry)
	requireHolder(t, pending, first, retry)
}

func withdraw(t *testing.T, pending contacts.PendingOperations) {
	first, retry := newPending(t)
	retry.Fingerprint = "another request's"
	requireHolder(t, pending, first, first)
	require.NoError(t, pending.Withdraw(t.Context(), first))
	_, found, err := pending.Pending(t.Context(), first.Tenant, first.ID)
	require.NoError(t, err)
	require.False(t, found)
	require.Eventually(t, func() bool { // for a moment the contact may be unknown
		holder, err := pending.Claim(t.Context(), retry)
		return err == nil && holder.Contact == retry.Contact
	}, patience, time.Millisecond)
	requirePending(t, pending, retry)
}

func withdrawNotedMeanwhile(t *testing.T, pending contacts.PendingOperations) {
	for _, later := range []time.Duration{0, time.Second} {
		first, _ := newPending(t)
		requireHolder(t, pending, first, first)
		noted := first
		noted.AcceptedAt = first.AcceptedAt.Add(later)
		require.NoError(t, pending.Note(t.Context(), noted))
		require.NoError(t, pending.Withdraw(t.Context(), first))
		requirePending(t, pending, noted)
	}
}
