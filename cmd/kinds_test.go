package cmd_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// TestEndToEnd_Kinds asks for what people write, in all scripts, by kinds of inputs that
// services get wrong. The service reads numbers without a country as German ones.
func TestEndToEnd_Kinds(t *testing.T) {
	t.Parallel()
	inBothModes(t, func(t *testing.T, s *system) {
		s.env = append(s.env, "CONTACTS_CONTACT_DEFAULT_REGION=DE", "CONTACTS_LIMIT_RATE=0")
		s.start(t)
		for name, test := range map[string]func(*testing.T, kinds){
			"Punctuation": lookAlikes, "Digits": scriptDigits, "Notations": notations, "E164": derivedNumbers, "EastAsian": familyFirst,
			"Letters": letters, "Order": nameOrder, "Places": searchedPlaces, "Parameters": queryParameters, "Exact": exactFilters,
			"Invisible": invisibleTexts, "Addresses": validAddresses, "Unchanged": unchangedWrites, "Primary": primaryEntries,
			"Equal": equalEntries, "Dates": partialDates, "Custom": customValues, "Count": counts, "Times": sinceTimes, "Bodies": bodies,
		} {
			t.Run(name, func(t *testing.T) { test(t, kinds{t, s.url, "k" + uuid.NewString()}) })
		}
	})
}

// kinds makes and finds contacts that have a label of their own.
type kinds struct {
	t     *testing.T
	url   string
	label string
}

type object = map[string]any

func (k kinds) do(method, path string, body any, headers ...string) (int, object) {
	k.t.Helper()
	text, raw := body.(string)
	if !raw && body != nil {
		encoded, err := json.Marshal(body)
		require.NoError(k.t, err)
		text = string(encoded)
	}
	response, answer := request(k.t, method, k.url+path, text, headers...)
	var decoded object
	if answer != "" {
		decoder := json.NewDecoder(strings.NewReader(answer))
		decoder.UseNumber()
		require.NoError(k.t, decoder.Decode(&decoded), answer)
	}
	return response.StatusCode, decoded
}

// create makes a contact of the fields.
func (k kinds) create(fields object) object {
	k.t.Helper()
	fields["labels"] = []string{k.label}
	status, made := k.do(http.MethodPost, "/v1/contacts", fields)
	require.Equal(k.t, http.StatusCreated, status, "%v: %v", fields, made)
	return made
}

// refused expects that the fields are, at the pointer.
func (k kinds) refused(pointer string, fields any) {
	k.t.Helper()
	status, problem := k.do(http.MethodPost, "/v1/contacts", fields)
	require.Equal(k.t, http.StatusUnprocessableEntity, status, "%+q: %v", fmt.Sprint(fields), problem)
	require.Equal(k.t, pointer, problem["errors"].([]any)[0].(object)["pointer"], "%+q", fmt.Sprint(fields))
}

// found are the ids of the listed contacts that have the label, in their order.
func (k kinds) found(parameters ...string) (ids []any) {
	k.t.Helper()
	query := url.Values{"label": {k.label}, "limit": {"500"}}
	for i := 0; i < len(parameters); i += 2 {
		query.Set(parameters[i], parameters[i+1])
	}
	status, page := k.do(http.MethodGet, "/v1/contacts?"+query.Encode(), nil)
	require.Equal(k.t, http.StatusOK, status, "%+q: %v", parameters, page)
	for _, item := range page["items"].([]any) {
		ids = append(ids, item.(object)["id"])
	}
	return ids
}

// finds expects that the parameter finds one contact by each of the values, and none by each
// of the others.
func (k kinds) finds(parameter string, id any, values, others []string) {
	k.t.Helper()
	for _, value := range values {
		require.Equal(k.t, []any{id}, k.found(parameter, value), "%s=%+q", parameter, value)
	}
	for _, value := range others {
		require.NotContains(k.t, k.found(parameter, value), id, "%s=%+q", parameter, value)
	}
}

// sought is a contact, what finds it, and what does not.
type sought struct {
	fields        object
	finds, misses []string
}

func (k kinds) search(all ...sought) {
	k.t.Helper()
	for i, one := range all {
		own := k
		own.label = fmt.Sprint(k.label, "-", i)
		own.finds("q", own.create(one.fields)["id"], one.finds, one.misses)
	}
}

func named(name string) object { return object{"display_name": name} }

func lookAlikes(_ *testing.T, k kinds) {
	k.search(
		sought{named("D'Angelo Ó Sé"), []string{"d’angelo", "D‘Angelo", "dʼangelo", "D`ANGELO", "d′angelo", "D＇Angelo o se"}, []string{"dangelox"}},
		sought{named("Nuʻumealani"), []string{"Nu'umealani", "nu’umealani"}, nil},
		sought{named("Marie–Claire Saint-Jean"), []string{"marie-claire", "Marie‑Claire", "marie—claire", "saint−jean", "Saint\u00adJean saint‐jean"[len("Saint\u00adJean "):]}, []string{"marieclaire"}},
		sought{named("„Bobby“ Lee"), []string{`"bobby"`, "“Bobby” lee", "«bobby»", "bobby", "'bobby'"[1:6]}, nil},
		sought{named("Smith, John (Jr.)"), []string{"john smith", "(john)", "Smith;", "jr", "[Smith] {john}", "¿smith?", "smith,john"}, []string{"smithjohn"}},
		sought{named("Ann\u00a0Lee\u202fMay"), []string{"ann lee", "lee\u2009may", "ANN\u3000LEE", "Ann Lee May", "may\tann"}, nil},
		sought{named("Zero\u200bWidth"), []string{"zerowidth", "zero\u200cwidth", "ze\u2060rowidth", "\ufeffzerowidth"}, nil},
		sought{named("\u202bعمر\u202c Nour"), []string{"عمر", "\u200fعمر\u200f", "nour"}, nil},
		sought{named("R. & D. Müller/Meier"), []string{"müller/meier", "r. & d.", "meier", "& muller"}, nil},
		sought{named("No. 5—Chanel"), []string{"5-chanel", "no 5", "CHANEL"}, nil},
		sought{named("!!! §"), []string{"!!!", "§", "!!! §"}, []string{"???"}},
		sought{named("AC・DC"), []string{"ac・dc", "AC DC"}, nil},
		sought{object{"display_name": "Pasted", "phone": "+49 30 901820"}, []string{"\u202a+49 30 901820\u202c", "\u2066+4930901820\u2069", "+49‑30‑901820", "+49 30 90-18-20", "030 901820\u200e", "(030)901820"}, nil},
	)
}

func scriptDigits(_ *testing.T, k kinds) {
	for i, digits := range []string{"۰۱۲۳۴۵۶۷۸۹", "०१२३४५६७८९", "০১২৩৪৫৬৭৮৯", "๐๑๒๓๔๕๖๗๘๙", "០១២៣៤៥៦៧៨៩", "၀၁၂၃၄၅၆၇၈၉", "０１２３４５６７８９", "੦੧੨੩੪੫੬੭੮੯", "௦௧௨௩௪௫௬௭௮௯", "໐໑໒໓໔໕໖໗໘໙", "߀߁߂߃߄߅߆߇߈߉", "𝟶𝟷𝟸𝟹𝟺𝟻𝟼𝟽𝟾𝟿"} {
		all := []rune(digits)
		number := "0"
		own := string(all[0])
		for _, n := range []int{5, 0, i % 10, 2, 3, 4, 5, 6, i / 10} {
			number += fmt.Sprint(n)
			own += string(all[n])
		}
		script := k
		script.label = fmt.Sprint(k.label, "-", i)
		made := script.create(object{"first_name": "Digits " + digits, "phone": own})
		mixed := string(all[0]) + number[1:]
		script.finds("q", made["id"], []string{own, number, number[:6], mixed}, nil)
		script.finds("phone", made["id"], []string{own, number}, []string{number + "1"})
		script.search(sought{named("Room " + string(all[4]) + string(all[2])), []string{"room 42", "42", string(all[4]) + "2"}, nil})
	}
}

func notations(_ *testing.T, k kinds) {
	number := func(number string) object { return object{"first_name": "N", "phone": number} }
	k.search(
		sought{number("+49 151 23456789"), []string{"0151 234", "0151/2345", "(0151) 23456", "151234", "0049151", "+49151 2", "+49 (0)151 23", "49 151 23456789", "23456789"}, []string{"0151 9", "0049 9"}},
		sought{number("0152 11112222"), []string{"+49 152 1111", "0049 152 11112222", "00491521111", "0152-1111", "+49(0)152 1111 2222"}, []string{"+43 152"}},
		sought{number("0049 160 5556667"), []string{"0160 555", "+49 160 5556667", "00 49 160"}, nil},
		sought{number("+43 1 58858"), []string{"+43 1 588", "0043 1 588", "01 58858"}, []string{"+49 1 588"}},
		sought{number("+44 20 7946 0958"), []string{"020 7946 0958", "0044 20 7946", "+44 (0)20 7946", "(020) 7946"}, nil},
		sought{number("+33 1 42 68 53 00"), []string{"01 42 68", "01.42.68.53.00", "0033 1 42"}, nil},
		sought{number("+1 212 555 0123"), []string{"(212) 555-0123", "212.555", "001 212 555", "+1-212-555-0123"}, nil},
		sought{number("+81 3 1234 5678"), []string{"03-1234-5678", "0081 3 1234"}, nil},
		sought{number("+39 06 698 1234"), []string{"06 698 1234", "+39 06 698", "0039 06"}, nil},
		sought{number("089/32168-0"), []string{"+49 89 321680", "089 32168", "0049 89 32168", "089/32168-0"}, nil},
		sought{number("1-800-GOT-JUNK"), []string{"1-800-got-junk", "got-junk", "1–800–GOT"}, nil},
		sought{number("+49 40 123456 Durchwahl 78"), []string{"+49 40 123456", "040 1234", "durchwahl 78", "+49 40 123456 Durchwahl 78"}, nil},
	)
}

func derivedNumbers(t *testing.T, k kinds) {
	for number, want := range map[string]any{
		"+49 30 901820 Fax": nil, "+49 30 901820 / +49 30 901821": nil, "030 901820 oder 030 901821": nil, "Büro: 030 901820": nil,
		"030 901820 ext 7": "+4930901820", "+1 212 555 0123 Ext. 9": "+12125550123", "+1 212-555-0123 x9": "+12125550123",
		"+1 212 555 0123 #9": "+12125550123", "+1 (212) 555‑0123": "+12125550123", "tel:+49-30-901820": "+4930901820",
		"+49 (0)30 901820": "+4930901820", "0049 30 901820": "+4930901820", "+４９ ３０ ９０１８２０": "+4930901820",
		"+٤٩ ٣٠ ٩٠١٨٢٠": "+4930901820", "030 901820 (Empfang)": nil, "+1 212 555 0123 ask for Bo": nil, "+1 212 555 0123, 555 0124": nil,
		"+1 800 GO FEDEX": nil, "112": nil, "030 901820; 030 901821": nil, "+49 30 901820 ext": nil, "+49 30 901820 e": nil,
		"030 – 90 18 20": "+4930901820", "++49 30 901820": nil, "+49 30 901820 WhatsApp": nil, "+999 123456": nil,
	} {
		made := k.create(object{"first_name": "E", "phone": number})
		phone := made["phones"].([]any)[0].(object)
		require.Equal(t, number, phone["number"])
		require.Equal(t, want, phone["e164"], number)
		require.Contains(t, k.found("phone", number), made["id"], "as it is written")
	}
	for _, number := range []string{"n/a", "none", "---", "+", "☎"} {
		k.refused("/phone", object{"first_name": "E", "phone": number})
	}
}

func familyFirst(t *testing.T, k kinds) {
	for _, name := range []struct{ first, last, display string }{
		{"伟", "王", "王伟"},
		{"娜", "司马", "司马娜"},
		{"花子", "山田", "山田花子"},
		{"はなこ", "やまだ", "やまだはなこ"},
		{"タロウ", "スズキ", "スズキタロウ"},
		{"ユーキ", "サトー", "サトーユーキ"},
		{"민준", "김", "김민준"},
		{"서연", "남궁", "남궁서연"},
		{"さくら", "佐々木", "佐々木さくら"},
		{"𠮷男", "𠮷野", "𠮷野𠮷男"},
		{"小龍", "李", "李小龍"},
		{"", "陈", "陈"},
		{"ﾀﾛｳ", "ﾔﾏﾀﾞ", "ﾔﾏﾀﾞﾀﾛｳ"},
	} {
		made := k.create(object{"first_name": name.first, "last_name": name.last})
		require.Equal(t, name.display, made["display_name"])
		for _, q := range []string{name.display, name.last + " " + name.first, strings.TrimSpace(name.first + " " + name.last)} {
			require.Contains(t, k.found("q", q), made["id"], q)
		}
	}
	require.Equal(t, "Wei Wang", k.create(object{"first_name": "Wei", "last_name": "Wang"})["display_name"])
	require.Equal(t, "伟 Wang", k.create(object{"first_name": "伟", "last_name": "Wang"})["display_name"], "in two scripts")
	require.Equal(t, "W. Wang", k.create(object{"first_name": "伟", "last_name": "王", "display_name": "W. Wang"})["display_name"], "as given")
}

func letters(_ *testing.T, k kinds) {
	k.search(
		sought{named("علي كاظمي"), []string{"علی", "کاظمی", "على"}, nil},
		sought{named("یوسف"), []string{"يوسف", "ىوسف"}, nil},
		sought{named("مُحَمَّد الأمین"), []string{"محمد", "الامين", "محـمد"}, nil},
		sought{named("מֹשֶׁה"), []string{"משה"}, nil},
		sought{named("Jürgen Käßbohrer"), []string{"juergen", "jurgen", "kaessbohrer", "KASSBOHRER", "KÄẞBOHRER"}, []string{"juergenx"}},
		sought{named("Søren Ærø"), []string{"soren", "soeren", "aero", "ÆRØ"}, nil},
		sought{named("Łukasz Đorđe"), []string{"lukasz", "dorde", "ŁUKASZ"}, nil},
		sought{named("Çağrı Şahin"), []string{"cagri", "SAHIN", "çağrı", "CAĞRI"}, nil},
		sought{named("Nguyễn Thị Đậu"), []string{"nguyen thi dau", "NGUYỄN", "Nguye\u0302\u0303n"}, nil},
		sought{named("Зоя Ёлкина"), []string{"елкина", "ЁЛКИНА"}, []string{"zoya"}},
		sought{named("Νίκος Παπαδόπουλος"), []string{"νικοσ", "ΝΙΚΟΣ", "παπαδοπουλος"}, nil},
		sought{named("किरण"), []string{"किरण"}, []string{"करण"}},
		sought{named("ｶﾀｶﾅ はなこ"), []string{"カタカナ", "かたかな", "ハナコ"}, []string{"かたかは"}},
		sought{named("ﬁnn Ⅳ"), []string{"finn", "iv", "FINN"}, nil},
		sought{named("Ĳsbrand Ŀluís"), []string{"ijsbrand"}, nil},
	)
}

func nameOrder(t *testing.T, k kinds) {
	for i, names := range [][]string{
		{"Ábel", "Bea", "Čeněk", "Dan", "Žofie"},
		{"Ärla", "Berta", "Örjan", "Zoe"},
		{"anna", "Anna", "Ánna", "Anne"},
		{"Ada", "Ævar", "Bo", "Øyvind", "Pia"},
		{"Андрій", "Богдан", "Ґрета", "Єва", "Жанна", "Їжак", "Юрій", "Ящук"},
		{"Αλέξης", "Άννα", "Βίκη", "Ήρα", "Ωρίων"},
		{"אבי", "בני", "שרה", "תמר"},
		{"أحمد", "باسم", "خالد", "يوسف"},
		{"de la Cruz", "De Luca", "O'Brien", "O’Brien B", "Obrien C"},
		{"김민수", "박지성", "이순신"},
		{"あきら", "イチロー", "さくら"},
		{"Zoe", "Ωρίων", "Яна", "תמר", "يوسف", "さくら", "王伟"},
		{"-dash", "9 lives", "Anna"},
	} {
		own := k
		own.label = fmt.Sprint(k.label, i)
		ids := map[string]any{}
		for _, name := range slices.Backward(names) {
			ids[name] = own.create(named(name))["id"]
		}
		var want []any
		for _, name := range names {
			want = append(want, ids[name])
		}
		require.Equal(t, want, own.found("sort", "name"), "%v", names)
		slices.Reverse(want)
		require.Equal(t, want, own.found("sort", "-name"), "%v", names)
	}
	people := []object{
		{"name_prefix": "Prof. Dr.", "first_name": "Zoe", "last_name": "Abel"},
		{"first_name": "Bea", "last_name": "Öz"},
		{"name_prefix": "Sir", "first_name": "Cy", "last_name": "abel"},
		{"first_name": "Adam"},
		{"organization": "Mint Ltd"},
	}
	ids := make([]any, len(people))
	for i, fields := range people {
		ids[i] = k.create(fields)["id"]
	}
	pick := func(order ...int) (picked []any) {
		for _, i := range order {
			picked = append(picked, ids[i])
		}
		return picked
	}
	require.Equal(t, pick(3, 1, 2, 4, 0), k.found("sort", "name"))
	require.Equal(t, pick(2, 0, 3, 4, 1), k.found("sort", "last_name"))
	require.Equal(t, pick(3, 1, 2, 4, 0), k.found("sort", "first_name"))
	require.Equal(t, pick(0, 4, 2, 1, 3), k.found("sort", "-first_name"))
}

func searchedPlaces(_ *testing.T, k kinds) {
	k.search(
		sought{object{"first_name": "A", "notes": "likes “Café Müller”\nand\ttea"}, []string{"cafe", "mueller", "café müller", "tea", "likes tea"}, []string{"coffee"}},
		sought{object{"first_name": "A", "urls": []string{"https://blog.example/~Zoë?x=1"}}, []string{"blog.example", "zoe", "https://blog"}, nil},
		sought{object{"first_name": "A", "custom_fields": object{"Lieblingsfarbe": "Türkis"}}, []string{"lieblingsfarbe", "turkis", "tuerkis"}, nil},
		sought{object{"first_name": "A", "custom_fields": object{"badge": 40712}}, []string{"40712", "badge 40712"}, nil},
		sought{object{"first_name": "A", "custom_fields": object{"member since": "2019-04"}}, []string{"2019-04", "member"}, nil},
		sought{object{"first_name": "A", "external_id": "CRM/" + k.label}, []string{"crm/" + k.label}, nil},
		sought{object{"first_name": "A", "addresses": []object{{"street": "Kö 1", "city": "Düsseldorf", "postal_code": "40212"}}}, []string{"dusseldorf", "duesseldorf", "40212", "kö 1"}, nil},
		sought{object{"first_name": "A", "job_title": "Ärztin", "department": "Herz & Kreislauf"}, []string{"arztin", "aerztin", "kreislauf"}, nil},
		sought{object{"first_name": "A", "organization": "L’Oréal"}, []string{"l'oreal", "OREAL"}, nil},
		sought{object{"first_name": "A", "nickname": "Kiwi", "name_suffix": "MdB"}, []string{"kiwi", "mdb"}, nil},
		sought{object{"first_name": "A", "emails": []object{{"address": "one@q.example"}, {"address": "Zwei@q.example"}}}, []string{"zwei@q", "one@", "Q.EXAMPLE"}, nil},
		sought{object{"first_name": "A", "notes": strings.Repeat("x ", 2000) + "needle"}, []string{"needle"}, nil},
	)
}

func queryParameters(t *testing.T, k kinds) {
	k.create(named("Present"))
	for _, query := range []string{
		"q=a&q=b", "label=a&label=a", "email=a%40b.example&email=c%40b.example", "sort=name&sort=-name", "limit=1&limit=2", "cursor=&limit=1",
		"external_id=", "updated_since=", "sort=", "count=", "q", "q=%20", "q=%E2%80%8B", "label=%20", "phone=abc", "phone=%2B", "email=x", "email=%20",
		"email=a%40", "nope=1", "Q=a", "labels=a", "q=%FF", "limit=0", "limit=501", "count=2", "updated_since=yesterday", "sort=birthday", "external_id=%E2%80%8B",
		"q=a;label=b", "&q=a", "q=a&&label=b",
	} {
		status, problem := k.do(http.MethodGet, "/v1/contacts?"+query, nil)
		require.Equal(t, http.StatusUnprocessableEntity, status, query)
		require.Len(t, problem["errors"], 1, query)
		name := problem["errors"].([]any)[0].(object)["parameter"]
		if named, _, _ := strings.Cut(query, "="); !strings.Contains(query, "&&") && !strings.HasPrefix(query, "&") {
			require.Equal(t, named, name, query)
		}
	}
}

func exactFilters(t *testing.T, k kinds) {
	for i, one := range []struct{ address, same, other string }{
		{"Mixed.Case@Exact.Example", "mixed.case@exact.example", "mixedcase@exact.example"},
		{"josé@exact.example", "JOSÉ@EXACT.example", "jose@exact.example"},
		{"zoë@exact.example", "zoe\u0308@exact.example", "zoe@exact.example"},
		{"x@münchen.example", "X@xn--mnchen-3ya.example", "x@munchen.example"},
		{"x@straße.example", "x@xn--strae-oqa.example", "x@strasse.example"},
		{"x@日本語.example", "x@xn--wgv71a119e.example", "x@日本.example"},
		{"x@XN--MNCHEN-3YA.de.example", "x@münchen.de.example", "x@munchen.de.example"},
		{"straße@exact.example", "STRASSE@exact.example", "strase@exact.example"},
		{"a+b@exact.example", "A+B@exact.example", "ab@exact.example"},
		{"юлия@почта.example", "ЮЛИЯ@ПОЧТА.example", "юлиа@почта.example"},
		{"o'neil@exact.example", "O'Neil@exact.example", "o’neil@exact.example"},
		{`"a b"@exact.example`, `"A B"@exact.example`, `"ab"@exact.example`},
	} {
		own := k
		own.label = fmt.Sprint(k.label, i)
		made := own.create(object{"first_name": "X", "email": one.address})
		own.finds("email", made["id"], []string{one.address, one.same, " " + one.same + " "}, []string{one.other})
	}
	for _, one := range []struct{ label, same, other string }{
		{"Família", "FAMÍLIA", "familia"},
		{"straße", "STRASSE", "strase"},
		{"ばば", "ば\u3099ば"[:3] + "ば", "はは"},
		{"カナ", "カナ", "かな"},
		{"vip’s", "VIP’S", "vip's"},
		{"a b", "A B", "ab"},
		{"Ελλάς", "ΕΛΛΆΣ", "Ελλας"},
		{"किताब", "किताब", "कताब"},
		{"№5", "№5", "no5"},
		{"x²", "X²", "x2"},
	} {
		status, made := k.do(http.MethodPost, "/v1/contacts", object{"first_name": "L", "labels": []string{one.label + k.label}})
		require.Equal(t, http.StatusCreated, status)
		for label, want := range map[string]bool{one.label: true, one.same: true, one.other: false} {
			own := k
			own.label = label + k.label
			require.Equal(t, want, slices.Contains(own.found(), made["id"]), "%+q", label)
		}
		made = k.create(object{"first_name": "I", "external_id": one.label + k.label})
		k.finds("external_id", made["id"], []string{one.same + k.label}, []string{one.other + k.label})
	}
}

func invisibleTexts(t *testing.T, k kinds) {
	for _, nothing := range []string{"\u200b", "\u200b\u200c", "\u2060", "\ufeff", "\u00ad", "\u3164", "\u2800", "\u115f", "\u202e", "\ufe0f", "\u0301", "\U000e0041"} {
		k.refused("/first_name", object{"first_name": nothing})
		k.refused("/organization", object{"first_name": "A", "organization": nothing})
		k.refused("/labels/0", object{"first_name": "A", "labels": []string{nothing}})
		k.refused("/addresses/0/city", object{"first_name": "A", "addresses": []object{{"city": nothing}}})
		for _, address := range []string{"a" + nothing + "b@x.example", "ab@x" + nothing + ".example"} {
			// a mark on a letter is seen, and UTS #46 drops selectors
			if nothing == "\u0301" || nothing == "\ufe0f" && strings.HasPrefix(address, "ab") {
				continue
			}
			k.refused("/email", object{"email": address})
		}
	}
	for _, half := range []string{`\ud83d`, `\udc00`, `a\ud83d b`, `\ude00\ud83d`, `\ud83d\ud83d\ude00`} {
		for pointer, body := range map[string]string{
			"/first_name": `{"first_name":"` + half + `"}`, "/labels/0": `{"first_name":"a","labels":["` + half + `"]}`,
			"/custom_fields/a": `{"first_name":"a","custom_fields":{"a":"` + half + `"}}`,
		} {
			k.refused(pointer, body)
		}
	}
	for _, control := range []string{"a\u0000b", "a\u0007b", "a\u001bb", "a\u0085b", "a\nb"} {
		k.refused("/last_name", object{"last_name": control})
	}
	for _, seen := range []string{"👨\u200d👩\u200d👧", "क्\u200dष", "می\u200cخواهم", "☃\ufe0e", "\U0001f3f4\U000e0067\U000e0062\U000e007f", "a\u200bb", "。", "ﷺ", "𝔸", "ʔ"} {
		require.Equal(t, seen, k.create(object{"first_name": seen})["first_name"])
	}
}

func validAddresses(t *testing.T, k kinds) {
	for _, address := range []string{
		`"john..doe"@example.org`, `".leading"@example.org`, `"very.(),:;<>[]\".VERY.\"very@\\ \"very\".unusual"@strange.example.com`, `" "@example.org`,
		"user%example.com@example.org", "user-@example.org", "_@example.org", "1@example.org", "#!$%&'*+-/=?^_`{}|~@example.org", "admin@mailserver1",
		"postmaster@[123.123.123.123]", "postmaster@[IPv6:2001:db8:85a3::8a2e:370:7334]", "δοκιμή@παράδειγμα.example", "अजय@डाटा.example", "x@a-b.example",
		strings.Repeat("l", 64) + "@example.org", "jane@sub.sub.sub.example", "甲斐@黒川.日本",
	} {
		made := k.create(object{"first_name": "A", "email": address})
		require.Equal(t, address, made["email"])
		require.Contains(t, k.found("email", address), made["id"], address)
	}
	for _, address := range []string{
		"plain", "@example.org", "a@", "a@@example.org", "a b@example.org", "a@exa mple.org", ".a@example.org", "a.@example.org", "a..b@example.org",
		`"a@example.org`, `a"b"c@example.org`, "a@-example.org", "a@example-.org", "a@example..org", "a@.org", "a@[300.1.1.1]", "a@[IPv6:xyz]",
		"Jane <jane@example.org>", "a@example.org, b@example.org", "mailto:a@example.org"[:7] + "@", strings.Repeat("l", 65) + "@example.org", "a@" + strings.Repeat("d", 64) + ".org",
	} {
		k.refused("/email", object{"first_name": "A", "email": address})
	}
}

func unchangedWrites(t *testing.T, k kinds) {
	made := k.create(object{
		"first_name": "Ann", "last_name": "Lee", "emails": []object{{"address": "ann@x.example", "label": "home"}, {"address": "lee@x.example"}},
		"phone": "+49 30 901820", "birthday": "1990-05", "notes": "n", "urls": []string{"https://x.example/"}, "custom_fields": object{"n": 1, "t": "x", "b": true},
	})
	path := "/v1/contacts/" + made["id"].(string)
	for _, patch := range []string{
		`{"first_name":"Ann"}`, `{"first_name":" Ann "}`, `{"display_name":"Ann Lee"}`, `{"email":"ann@x.example"}`, `{"phone":"+49 30 901820"}`, `{"nickname":null}`,
		`{"nickname":""}`, `{"custom_fields":{"n":1.0}}`, `{"custom_fields":{"gone":null}}`, `{"custom_fields":{}}`, `{"birthday":"1990-05"}`,
		`{"emails":[{"address":"ann@x.example","label":"home"},{"address":"lee@x.example"},{"address":"ANN@x.example"}]}`,
		`{"urls":["https://x.example/","https://x.example/"]}`, `{"labels":["` + k.label + `","` + strings.ToUpper(k.label) + `"]}`, `{"notes":"n","last_name":"Lee"}`,
		`{"phones":[{"number":"+49 30 901820","e164":"+1"}]}`,
	} {
		status, same := k.do(http.MethodPatch, path, patch, "Content-Type", "application/merge-patch+json")
		require.Equal(t, http.StatusOK, status, patch)
		require.Equal(t, made, same, patch)
	}
	status, same := k.do(http.MethodPut, path, made)
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, made, same)
	status, _ = k.do(http.MethodPatch, path, `{"notes":"m"}`, "If-Match", `"1"`)
	require.Equal(t, http.StatusOK, status)
	status, changes := k.do(http.MethodGet, "/v1/changes?limit=500", nil)
	require.Equal(t, http.StatusOK, status)
	mine := 0
	for _, change := range changes["items"].([]any) {
		if change.(object)["contact_id"] == made["id"] {
			mine++
		}
	}
	require.LessOrEqual(t, mine, 2, "one for the create and one for the change")
}

func primaryEntries(t *testing.T, k kinds) {
	emails := func(addresses ...string) (list []any) {
		for _, a := range addresses {
			address, label, labelled := strings.Cut(a, "|")
			entry := object{"address": address}
			if labelled {
				entry["label"] = label
			}
			list = append(list, entry)
		}
		return list
	}
	for _, test := range []struct {
		before []any
		patch  string
		after  []any
	}{
		{emails("a@x.example|home", "b@x.example|work"), `{"email":"b@x.example"}`, emails("b@x.example|work", "a@x.example|home")},
		{emails("a@x.example|home", "b@x.example|work"), `{"email":"B@X.example"}`, emails("B@X.example|work", "a@x.example|home")},
		{emails("a@x.example|home", "b@x.example"), `{"email":"c@x.example"}`, emails("c@x.example|home", "b@x.example")},
		{emails("a@x.example", "b@x.example"), `{"email":null}`, emails("b@x.example")},
		{emails("a@x.example", "b@x.example"), `{"email":""}`, emails("b@x.example")},
		{emails("a@x.example"), `{"email":"a@x.example"}`, emails("a@x.example")},
		{nil, `{"email":"a@x.example"}`, emails("a@x.example")},
		{emails("a@x.example", "x@bücher.example"), `{"email":"x@xn--bcher-kva.example"}`, emails("x@xn--bcher-kva.example", "a@x.example")},
		{emails("a@x.example", "b@x.example", "c@x.example"), `{"email":"c@x.example"}`, emails("c@x.example", "a@x.example", "b@x.example")},
		{emails("a@x.example|A", "b@x.example|B", "c@x.example|C"), `{"email":"b@x.example"}`, emails("b@x.example|B", "a@x.example|A", "c@x.example|C")},
		{emails("a@x.example", "b@x.example"), `{"emails":null,"email":"c@x.example"}`, emails("c@x.example")},
		{emails("a@x.example", "b@x.example"), `{"email":"c@x.example","emails":[{"address":"a@x.example"},{"address":"b@x.example"}]}`, emails("c@x.example", "b@x.example")},
	} {
		made := k.create(object{"first_name": "P", "emails": test.before})
		status, merged := k.do(http.MethodPatch, "/v1/contacts/"+made["id"].(string), test.patch)
		require.Equal(t, http.StatusOK, status, "%s: %v", test.patch, merged)
		require.Equal(t, test.after, merged["emails"], test.patch)
		require.Equal(t, test.after[0].(object)["address"], merged["email"])

		var patch object // the same by a PUT of what was read
		require.NoError(t, json.Unmarshal([]byte(test.patch), &patch))
		if email, _ := patch["email"].(string); email != "" && test.before != nil && len(patch) == 1 {
			_, made = k.do(http.MethodPost, "/v1/contacts", object{"first_name": "P", "emails": test.before})
			made["email"] = email
			status, replaced := k.do(http.MethodPut, "/v1/contacts/"+made["id"].(string), made)
			require.Equal(t, http.StatusOK, status, replaced)
			require.Equal(t, test.after, replaced["emails"], test.patch)
		}
	}
}

func equalEntries(t *testing.T, k kinds) {
	for _, test := range []struct{ member, before, after string }{
		{"emails", `[{"address":"a@x.example"},{"address":"A@X.EXAMPLE","label":"work"}]`, `[{"address":"a@x.example","label":"work"}]`},
		{"emails", `[{"address":"a@x.example","label":"home"},{"address":"a@x.example","label":"work"}]`, `[{"address":"a@x.example","label":"home"}]`},
		{"emails", `[{"address":"a@bücher.example"},{"address":"a@xn--bcher-kva.example"}]`, `[{"address":"a@bücher.example"}]`},
		{"emails", `[{"address":"andre@x.example"},{"address":"andré@x.example"}]`, `[{"address":"andre@x.example"},{"address":"andré@x.example"}]`},
		{"phones", `[{"number":"+49 30 901820"},{"number":"+49 (30) 90‑18‑20","label":"work"}]`, `[{"e164":"+4930901820","label":"work","number":"+49 30 901820"}]`},
		{"phones", `[{"number":"112"},{"number":"1 1 2"}]`, `[{"number":"112"}]`},
		{"phones", `[{"number":"112"},{"number":"110"}]`, `[{"number":"112"},{"number":"110"}]`},
		{"phones", `[{"number":"٠٣٠ ٩٠١٨٢٠"},{"number":"030 901820"}]`, `[{"e164":"+4930901820","number":"٠٣٠ ٩٠١٨٢٠"}]`},
		{"labels", `["a","A","á","a\u0301"]`, `["a","á"]`},
		{"labels", `["straße","STRASSE"," straße "]`, `["straße"]`},
		{"urls", `["https://x.example/","https://x.example/","https://x.example/b"]`, `["https://x.example/","https://x.example/b"]`},
	} {
		status, made := k.do(http.MethodPost, "/v1/contacts", `{"first_name":"E","`+test.member+`":`+test.before+`}`)
		require.Equal(t, http.StatusCreated, status, "%s: %v", test.before, made)
		got, err := json.Marshal(made[test.member])
		require.NoError(t, err)
		require.JSONEq(t, test.after, string(got), test.before)
	}
}

func partialDates(t *testing.T, k kinds) {
	for _, date := range []string{"1985", "1985-04", "1985-04-12", "--04-12", "--02-29", "2000-02-29", "0001-01-01", "9999-12-31", "2024-02", "--12-31", "1900"} {
		require.Equal(t, date, k.create(object{"first_name": "D", "birthday": date})["birthday"])
	}
	for _, date := range []string{
		"85", "1985-4", "1985-13", "1985-00", "1985-02-30", "1900-02-29", "--02-30", "--13-01", "---12", "--04", "1985/04/12", "12.04.1985", "19850412",
		"1985-04-12T00:00:00Z", "circa 1800", "١٩٨٥", "-1985", "1985-", "10000",
	} {
		k.refused("/birthday", object{"first_name": "D", "birthday": date})
	}
}

func customValues(t *testing.T, k kinds) {
	for given, want := range map[string]string{
		"41": "41", "-0.50": "-0.5", "1e3": "1000", "true": "true", "false": "false", `"41"`: `"41"`, `"true"`: `"true"`, `""`: `""`, "0": "0",
		"12345678901234567890": "12345678901234567890", "3.141592653589793238": "3.141592653589793238", `"  x "`: `"x"`,
	} {
		status, made := k.do(http.MethodPost, "/v1/contacts", `{"first_name":"C","custom_fields":{"v":`+given+`}}`)
		require.Equal(t, http.StatusCreated, status, "%s: %v", given, made)
		status, read := k.do(http.MethodPatch, "/v1/contacts/"+made["id"].(string), `{"nickname":"kept","custom_fields":{"w":`+given+`}}`)
		require.Equal(t, http.StatusOK, status)
		for _, name := range []string{"v", "w"} {
			got, err := json.Marshal(read["custom_fields"].(object)[name])
			require.NoError(t, err)
			require.Equal(t, want, string(got), given)
		}
	}
	for _, value := range []string{"[]", "{}", `[1]`, `{"a":1}`, "1e400", strings.Repeat("9", 101)} {
		k.refused("/custom_fields/v", `{"first_name":"C","custom_fields":{"v":`+value+`}}`)
	}
}

func counts(t *testing.T, k kinds) {
	for i := range 12 {
		k.create(object{"first_name": fmt.Sprint("Count", i%3), "notes": fmt.Sprint("n", i%4)})
	}
	for query, want := range map[string]string{
		"": "12", "&q=count1": "4", "&q=n3": "3", "&q=count1%20n1": "1", "&q=none": "0", "&limit=5": "12", "&sort=-name&limit=1": "12", "&updated_since=2100-01-01T00:00:00Z": "0",
		"&updated_since=2000-01-01T00:00:00Z": "12", "&external_id=none": "0", "&email=none%40x.example": "0", "&phone=112": "0",
	} {
		status, page := k.do(http.MethodGet, "/v1/contacts?count=true&label="+k.label+query, nil)
		require.Equal(t, http.StatusOK, status, query)
		require.Equal(t, json.Number(want), page["count"], query)
		require.NotContains(t, page, "count_has_more")
	}
	_, page := k.do(http.MethodGet, "/v1/contacts?count=false&label="+k.label, nil)
	require.NotContains(t, page, "count")
}

func sinceTimes(t *testing.T, k kinds) {
	made := k.create(object{"first_name": "T"})
	at, err := time.Parse(time.RFC3339Nano, made["updated_at"].(string))
	require.NoError(t, err)
	zone := func(at time.Time, hours float64) string {
		return at.In(time.FixedZone("", int(hours*3600))).Format("2006-01-02T15:04:05.000000-07:00")
	}
	for since, want := range map[string]bool{
		zone(at, 0): true, zone(at, 5.5): true, zone(at, -8): true, zone(at, 14): true, zone(at, -12): true,
		zone(at.Add(time.Microsecond), 0): false, zone(at.Add(time.Microsecond), 9.5): false, zone(at.Add(time.Microsecond), -3): false,
		at.Format("2006-01-02t15:04:05.000000z"): true, at.Format("2006-01-02 15:04:05.000000Z"): true, at.Format("2006-01-02T15:04:05.000000") + "999Z": false,
		at.Truncate(time.Second).Format(time.RFC3339): true, at.Truncate(time.Second).Add(time.Second).Format(time.RFC3339): false,
		"9999-12-31T23:59:59-01:00": false, "0001-01-01T00:00:00Z": true, "0000-01-01T00:00:00+01:00": true, "2016-12-31T23:59:60Z": true,
	} {
		require.Equal(t, want, len(k.found("updated_since", since)) == 1, since)
		require.Equal(t, want, len(k.found("updated_since", since, "sort", "updated_at")) == 1, since)
	}
}

func bodies(t *testing.T, k kinds) {
	made := k.create(object{"first_name": "B"})
	path := "/v1/contacts/" + made["id"].(string)
	for i, body := range []string{
		"\ufeff" + `{"nickname":"%d"}`, ` {"nickname":"%d"} `, "\n{\"nickname\":\"%d\"}\r\n", `{"\u006eickname":"%d"}`, "\t{\t\"nickname\"\t:\t\"%d\"\t}",
	} {
		for j, headers := range [][]string{
			nil,
			{"Content-Encoding", "identity"},
			{"Content-Encoding", "Identity"},
			{"Content-Encoding", "IDENTITY"},
			{"Content-Type", "application/merge-patch+json; charset=utf-8"},
			{"Content-Type", "Application/Merge-Patch+JSON"},
			{"Content-Type", `application/json;charset="UTF-8"`},
		} {
			nickname := fmt.Sprintf("%d0%d", i, j)
			status, merged := k.do(http.MethodPatch, path, strings.Replace(body, "%d", nickname, 1), headers...)
			require.Equal(t, http.StatusOK, status, "%q %v: %v", body, headers, merged)
			require.Equal(t, nickname, merged["nickname"])
		}
	}
	for _, contentType := range []string{"application/json-patch+json", "text/plain", "application/xml", "application/merge-patch", "multipart/form-data"} {
		response, body := request(t, http.MethodPatch, k.url+path, `{}`, "Content-Type", contentType)
		require.Equal(t, http.StatusUnsupportedMediaType, response.StatusCode, body)
		require.Equal(t, "application/merge-patch+json, application/json", response.Header.Get("Accept-Patch"))
	}
	for _, encoding := range []string{"gzip", "br", "deflate", "identity, gzip", "x"} {
		response, _ := request(t, http.MethodPatch, k.url+path, `{}`, "Content-Encoding", encoding)
		require.Equal(t, http.StatusUnsupportedMediaType, response.StatusCode, encoding)
		require.Equal(t, "identity", response.Header.Get("Accept-Encoding"))
	}
}
