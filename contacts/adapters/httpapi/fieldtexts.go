package httpapi

// fieldText is what callers are told of a field besides its type and limit.
type fieldText struct {
	description string
	example     any
	format      string
	readOnly    bool // set by the server, ignored in what comes in
}

// fieldTexts has the keys of contacts.Limits, and those of the fields without a limit. It is
// never changed.
var fieldTexts = map[string]fieldText{
	"id":         {"The contact's id, a UUIDv7.", "0197c5a4-3f52-7e63-9a0e-5d3c1b2a4f60", "uuid", true},
	"version":    {"Counts the contact's changes from 1 on; the ETag is the same in quotes.", 3, "int64", true},
	"created_at": {"When the contact was created, UTC.", "2026-03-01T09:30:00Z", "date-time", true},
	"updated_at": {"When the contact was changed last, UTC.", "2026-03-02T16:05:12.5Z", "date-time", true},

	"first_name":   {description: "Given name.", example: "Jane"},
	"middle_name":  {description: "Further given names.", example: "Maria"},
	"last_name":    {description: "Family name.", example: "Doe"},
	"name_prefix":  {description: "What stands before the name, such as a title.", example: "Dr."},
	"name_suffix":  {description: "What stands after the name.", example: "Jr."},
	"nickname":     {description: "What friends say.", example: "Janie"},
	"display_name": {description: "What lists show. Composed of the other fields where it is not given.", example: "Dr. Jane Doe"},

	"email":            {description: "The primary address, a shorthand for the first entry of emails.", example: "jane@example.com", format: "email"},
	"phone":            {description: "The primary number, a shorthand for the first entry of phones.", example: "+1 415 555 2671"},
	"emails":           {description: "All email addresses, the primary one first."},
	"emails/*/address": {description: "The address.", example: "jane@example.com", format: "email"},
	"emails/*/label":   {description: "What the address is for.", example: "work"},
	"phones":           {description: "All phone numbers, the primary one first."},
	"phones/*/number":  {description: "The number as it was written.", example: "+1 415 555 2671"},
	"phones/*/e164":    {description: "The number in the form of ITU-T E.164, where it can be read.", example: "+14155552671", readOnly: true},
	"phones/*/label":   {description: "What the number is for.", example: "mobile"},

	"addresses":               {description: "Postal addresses. Each has at least one part besides its label."},
	"addresses/*/street":      {description: "Street and number; may have several lines.", example: "1 Market Street"},
	"addresses/*/city":        {description: "City or town.", example: "San Francisco"},
	"addresses/*/region":      {description: "State, province or county.", example: "CA"},
	"addresses/*/postal_code": {description: "Postal code.", example: "94105"},
	"addresses/*/country":     {description: "Country, by name or code.", example: "US"},
	"addresses/*/label":       {description: "What the address is for.", example: "office"},

	"organization":    {description: "Company or other organization.", example: "Example Ltd"},
	"department":      {description: "Department of the organization.", example: "Research"},
	"job_title":       {description: "Position in the organization.", example: "Engineer"},
	"birthday":        {description: "A date as YYYY-MM-DD, YYYY-MM or YYYY, or --MM-DD without a year.", example: "1990-05-17"},
	"urls":            {description: "Web pages; each once."},
	"urls/*":          {description: "An absolute URL.", example: "https://example.com/jane", format: "uri"},
	"notes":           {description: "Anything else, in several lines.", example: "Met at the conference."},
	"labels":          {description: "Labels by which contacts are grouped; each once."},
	"labels/*":        {description: "A label.", example: "customer"},
	"custom_fields":   {description: "Fields of one's own, by names of up to 100 characters."},
	"custom_fields/*": {description: "The field's value: a string, a number or a boolean.", example: "blue"},
	"external_id":     {description: "The contact's id in another system; unique among the tenant's contacts.", example: "crm-4711"},
}

// exampleInput is what a caller might send.
func exampleInput() map[string]any {
	return map[string]any{
		"first_name":    "Jane",
		"last_name":     "Doe",
		"emails":        []any{map[string]any{"address": "jane@example.com", "label": "work"}},
		"phones":        []any{map[string]any{"number": "+1 415 555 2671", "label": "mobile"}},
		"organization":  "Example Ltd",
		"birthday":      "1990-05-17",
		"labels":        []any{"customer"},
		"custom_fields": map[string]any{"favourite colour": "blue", "visits": 41, "member": true},
	}
}

// exampleContact is what the service makes of exampleInput.
func exampleContact() map[string]any {
	example := exampleInput()
	for _, field := range []string{"id", "created_at", "updated_at", "email", "phone"} {
		example[field] = fieldTexts[field].example
	}
	example["version"] = 1
	example["updated_at"] = example["created_at"]
	example["display_name"] = "Jane Doe"
	example["phones"] = []any{map[string]any{"number": "+1 415 555 2671", "e164": "+14155552671", "label": "mobile"}}
	return example
}
