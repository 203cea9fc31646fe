package contacts_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"contacts/contacts"
	"contacts/contacts/contactstest"
)

// A write becomes an operation. Here the queue, the worker and the database are those of a desk in
// memory, which applies a command as soon as it is sent.
func ExampleService() {
	ctx := context.Background()
	service := contacts.NewService(contactstest.NewDesk().Options())
	caller := contacts.Caller{Tenant: "acme", Subject: "jane"}
	write := contacts.Write{Wait: time.Second}

	created, err := service.Create(ctx, caller, contacts.Fields{FirstName: "Ana", LastName: "Núñez", Phone: "+51 987 654 321"}, write)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(created.Status, created.Version)

	write.IfMatch = []int64{1}
	merged, err := service.Merge(ctx, caller, created.Contact, contacts.Patch(`{"nickname":"Ani"}`), write)
	fmt.Println(merged.Version, err)
	_, err = service.Merge(ctx, caller, created.Contact, contacts.Patch(`{"nickname":"Anita"}`), write)
	fmt.Println(err)

	page, err := service.List(ctx, caller, contacts.Filter{Text: "nunez 987"}, 10, "")
	fmt.Println(len(page.Items), err)
	// Output:
	// succeeded 1
	// 2 <nil>
	// the contact is at version 2: read it again and repeat the change on that
	// 1 <nil>
}

// Normalize returns fields as they are stored, or every rule that they break.
func ExampleFields_Normalize() {
	fields, _ := contacts.Fields{FirstName: " Ana ", LastName: "Núñez", Phone: "01 555 2671"}.Normalize("PE")
	fmt.Println(fields.DisplayName, fields.Phones[0].E164)

	_, err := contacts.Fields{Email: "ana@", Notes: "a\x00"}.Normalize("")
	invalid, _ := errors.AsType[*contacts.Error](err)
	for _, violation := range invalid.Violations {
		fmt.Println(violation.Pointer, violation.Message)
	}
	// Output:
	// Ana Núñez +5115552671
	// /notes expected no control characters
	// /email expected an email address such as jane@example.com
}
