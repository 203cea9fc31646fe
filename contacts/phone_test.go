package contacts

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestE164Of(t *testing.T) {
	for text, want := range map[string]string{
		"+1 415 555 2671": "+14155552671", "(415) 555-2671": "", "+49 89 1234567": "+49891234567", "+49 (0)89 1234567": "+49891234567",
		"\u2068+1 415 555 2671\u2069": "+14155552671", "+1\u00a0415\u202f555‑2671": "+14155552671", "+1 415–555—2671": "+14155552671",
		"+٩٧١ ٥٠ ١٢٣ ٤٥٦٧": "+971501234567", "＋１ ４１５ ５５５ ２６７１": "+14155552671",
		"+1 415 555 2671 ext. 12": "+14155552671", "+1 415 555 2671 x12": "+14155552671", "+1 415 555 2671;ext=12": "+14155552671",
		"+1 415 555 2671 #12": "+14155552671", "tel:+1-415-555-2671": "+14155552671", "+7 495 123-45-67 доб. 12": "+74951234567",
		"+49 89/1234567": "+49891234567", "(+49) 170 1234567": "+491701234567", "(+1) (415) 555-2671": "+14155552671",
		// Not one number, or one with words in it:
		"+49 89 1234567 Fax": "", "+49 89 1234567 or +49 89 7654321": "", "+49 89 1234567, 7654321": "", "+49 89 123456/7": "",
		"+1 415 555 2671 / 2672": "", "+1 800 FLOWERS": "", "+1 415 555 2671 (home)": "", "call +1 415 555 2671": "", "+1 415 555 2671 ext": "",
		"+1 415 555 2671 +1": "", "+49 (171) 7654321 (2)": "", "+1 415 555 2671 (work 2)": "", "+49 89 1234567;+49 89 7654321": "", "12": "", "+0": "", "n/a": "",
	} {
		require.Equal(t, want, e164Of(text, ""), "%q", text)
	}
	for text, want := range map[string]string{
		"0171 7654321": "+491717654321", "0049 171 7654321": "+491717654321", "089/1234567": "+49891234567", "089 1234567 Fax": "",
		"+1 415 555 2671": "+14155552671", "0171 7654321 / 0172 7654321": "", "030 123456 Durchwahl 12": "+4930123456",
	} {
		require.Equal(t, want, e164Of(text, "DE"), "%q", text)
	}
}

func TestNumberForms(t *testing.T) {
	require.Equal(t, []string{"0170123"}, distinct(numberForms("0170 123", "")))
	require.Equal(t, []string{"0049170123", "49170123"}, distinct(numberForms("0049 170 123", "")))
	require.Equal(t, []string{"49089123", "4989123"}, distinct(numberForms("+49 (0)89 123", "")))
	require.Equal(t, []string{"01717654321", "491717654321"}, distinct(numberForms("0171 7654321", "DE")))
	require.Equal(t, []string{"01701234567", "491701234567"}, distinct(dialled(PhoneNumber{Number: "+49 170 1234567", E164: "+491701234567"})))
}

func TestIsAddress(t *testing.T) {
	for _, address := range []string{
		"jane@mail.example", `"aki..oya"@mobile.example`, `"a b"@x.example`, `"a\"b"@x.example`, "rory.o'dea@mail.example", "用户@例え.example",
		"a+b@x.example", "!#$%&'*+-/=?^_`{|}~@x.example", "x@[192.0.2.1]", "x@[IPv6:2001:db8::1]", "x@xn--bcher-kva.example", "x@localhost",
		"josé@bücher.example", `"@"@x.example`, "x@[ipv6:::1]", "x@r3---sn.example", strings.Repeat("x", 64) + "@x.example",
	} {
		require.True(t, isAddress(address), "%q", address)
	}
	for _, address := range []string{
		"", "x", "@x.example", "x@", "a..b@x.example", ".a@x.example", "a.@x.example", "a b@x.example", `"a"b"@x.example`, `"a\"@x.example`,
		"x@y@z.example", "\u200bx@mail.example", "x\u00ad@mail.example", "x@ma\u200bil.example", "x\u202e@mail.example", "x@.example",
		"x@a..example", "x@x_y.example", "x@[1.2.3]", "x@[2001:db8::1]", "x@[IPv6:192.0.2.1]", "x@mail.example.", "Jane <x@mail.example>", "\"x\ny\"@a.example",
		`"@x.example`, "a\u2800b@x.example", "\u0301@x.example", "a\ufff9b@x.example", "a\U00013430b@x.example", "x@-a.example", "x@a-.example",
		strings.Repeat("x", 65) + "@x.example", strings.Repeat("é", 33) + "@x.example",
	} {
		require.False(t, isAddress(address), "%q", address)
	}
}

func TestNumberIdentity(t *testing.T) {
	for _, same := range [][]string{
		{"+1 415 555 2671", "+1 (415) 555-2671", "+14155552671", "\u2068+1 415 555‑2671\u2069", "＋１ ４１５ ５５５ ２６７１"},
		{"+1 415 555 2671 ext. 12", "+1 415 555 2671 EXT. 12"},
	} {
		for _, number := range same {
			require.Equal(t, numberIdentity(same[0]), numberIdentity(number), "%q", number)
		}
	}
	require.NotEqual(t, numberIdentity("+1 415 555 2671"), numberIdentity("1 415 555 2671"))
	require.NotEqual(t, numberIdentity("+1 415 555 2671"), numberIdentity("+1 415 555 2671 ext. 12"))
}
