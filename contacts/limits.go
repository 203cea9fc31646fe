package contacts

// MaxDocument is the largest JSON form, in bytes, of a contact's fields. It leaves room for
// the envelope in a queue message of 256 KiB.
const MaxDocument = 192 << 10

// Limits holds how long each text may be, in characters, and how many entries each list may
// have. A key is a JSON pointer without its leading slash, "*" standing for any index or key.
func Limits() map[string]int {
	return map[string]int{
		"first_name":              200,
		"middle_name":             200,
		"last_name":               200,
		"name_prefix":             100,
		"name_suffix":             100,
		"nickname":                200,
		"display_name":            1000, // more than the longest composed one
		"email":                   254,  // RFC 5321, 4.5.3.1, less the angle brackets
		"phone":                   64,
		"emails":                  50,
		"emails/*/address":        254,
		"emails/*/label":          100,
		"phones":                  50,
		"phones/*/number":         64,
		"phones/*/e164":           16,
		"phones/*/label":          100,
		"addresses":               20,
		"addresses/*/street":      500,
		"addresses/*/city":        200,
		"addresses/*/region":      200,
		"addresses/*/postal_code": 32,
		"addresses/*/country":     200,
		"addresses/*/label":       100,
		"organization":            200,
		"department":              200,
		"job_title":               200,
		"birthday":                10,
		"urls":                    50,
		"urls/*":                  2000,
		"notes":                   20000,
		"labels":                  100,
		"labels/*":                100,
		"custom_fields":           100,
		"custom_fields/*":         1000,
		"external_id":             255,
	}
}

// maxCustomFieldName is how long the name of a custom field may be, in characters.
const maxCustomFieldName = 100
