package contactstest_test

import (
	"testing"

	"contacts/contacts"
	"contacts/contacts/contactstest"
)

func TestDesk_Pending(t *testing.T) {
	contactstest.RunPending(t, func(*testing.T) contacts.PendingOperations { return contactstest.NewDesk() })
}

func TestModel_Contract(t *testing.T) {
	model := contactstest.NewModel()
	contactstest.RunStore(t, func(*testing.T) contactstest.Store { return model })
	t.Run("Changes", func(t *testing.T) {
		contactstest.RunChanges(t, 5000, func(*testing.T) contactstest.ChangingStore { return model })
	})
}
