package contacts

import (
	"bytes"
	"cmp"
	"strings"
	"sync"

	"golang.org/x/text/collate"
	"golang.org/x/text/language"
)

// Sort is the order of a list: by one of the keys, ascending, or descending with a "-" before
// it. The order is total: what is equal by the key is ordered by id, in the same direction.
type Sort string

// The keys of a [Sort]. The order of creation is that of the ids, which are UUIDv7. Names are
// ordered as in their alphabets, see [Index.Orders]; without the part that a key is of, by
// display_name.
const (
	SortCreated   Sort = "created_at"
	SortUpdated   Sort = "updated_at"
	SortName      Sort = "name"       // display_name, without name_prefix
	SortLastName  Sort = "last_name"  // and then the other names
	SortFirstName Sort = "first_name" // and then the other names
)

// NameSorts returns the keys of orders by names.
func NameSorts() []Sort { return []Sort{SortName, SortLastName, SortFirstName} }

// Sorts returns all orders there are.
func Sorts() []Sort {
	var all []Sort
	for _, key := range append([]Sort{SortCreated, SortUpdated}, NameSorts()...) {
		all = append(all, key, "-"+key)
	}
	return all
}

// Key returns what the order is by, and whether it is descending.
func (s Sort) Key() (key Sort, descending bool) {
	name, descending := strings.CutPrefix(string(s), "-")
	return Sort(name), descending
}

// orders returns [Index.Orders].
func (f Fields) orders() map[Sort][]byte {
	name := f.DisplayName
	if f.NamePrefix != "" && strings.HasPrefix(name, f.NamePrefix+" ") {
		name = name[len(f.NamePrefix)+1:]
	}
	given := strings.TrimSpace(f.FirstName + " " + f.MiddleName)
	return map[Sort][]byte{
		SortName:      orderKey(name),
		SortLastName:  orderKey(cmp.Or(f.LastName, name), given),
		SortFirstName: orderKey(cmp.Or(given, name), f.LastName),
	}
}

// How much of a name counts for its order, in characters, and how long a key may be, in bytes.
// Databases index no longer ones.
const (
	maxOrderName = 100
	maxOrderKey  = 800
)

// orderKey returns bytes whose order is that of names by the Unicode collation algorithm with
// CLDR's root collation (UTS #10, #35): letters in the order of their alphabets, and then
// accents and case. What follows the first name counts where that is equal.
func orderKey(names ...string) []byte {
	collator := collators.Get().(*collate.Collator)
	defer collators.Put(collator)
	var key []byte
	var buffer collate.Buffer
	for i, name := range names {
		if i > 0 {
			key = append(key, 0, 0) // less than any weight
		}
		key = append(key, collator.KeyFromString(&buffer, truncate(name, maxOrderName))...)
		buffer.Reset()
	}
	return bytes.Clone(key[:min(len(key), maxOrderKey)])
}

// collators keeps collators, each of which serves one goroutine at a time.
var collators = sync.Pool{New: func() any { return collate.New(language.Und) }}
