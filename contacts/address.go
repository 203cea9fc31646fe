package contacts

import (
	"net/netip"
	"strings"
	"unicode"

	"golang.org/x/net/idna"
)

// isAddress reports whether a text is a mailbox of SMTP (RFC 5321, 4.1.2; RFC 6531, 3.3), and
// all of it can be seen: an invisible character makes an address that looks like another one.
func isAddress(text string) bool {
	at := strings.LastIndexByte(text, '@')
	if at < 1 || strings.ContainsFunc(text, func(r rune) bool {
		return ignorable(r) || unicode.Is(unicode.Cf, r) && !unicode.Is(unicode.Prepended_Concatenation_Mark, r) || unicode.IsControl(r) || unicode.IsSpace(r) && r != ' ' || r == brailleBlank || r == unicode.ReplacementChar
	}) {
		return false
	}
	return isLocalPart(text[:at]) && isDomain(text[at+1:])
}

// maxLocalPart is how long a local part may be, in bytes (RFC 5321, 4.5.3.1.1).
const maxLocalPart = 64

func isLocalPart(local string) bool {
	if len(local) > maxLocalPart || !visible(local) {
		return false
	}
	if inner, ok := strings.CutPrefix(local, `"`); ok {
		inner, ok = strings.CutSuffix(inner, `"`)
		return ok && len(local) > 1 && isQuoted(inner)
	}
	for atom := range strings.SplitSeq(local, ".") {
		if atom == "" || strings.ContainsFunc(atom, func(r rune) bool { return strings.ContainsRune(specials, r) }) {
			return false
		}
	}
	return true
}

// specials are the ASCII characters that no atom has (RFC 5322, 3.2.3).
const specials = `()<>[]:;@\,." `

// isQuoted reports whether what stands between quotes has quotes and backslashes only behind a
// backslash.
func isQuoted(inner string) bool {
	for escaped := false; inner != ""; inner = inner[1:] {
		switch {
		case escaped:
			escaped = false
		case inner[0] == '"':
			return false
		case inner[0] == '\\':
			if len(inner) == 1 {
				return false
			}
			escaped = true
		}
	}
	return true
}

const tagIPv6 = "IPv6:" // in any case (RFC 5321, 2.4)

func isDomain(domain string) bool {
	if literal, ok := strings.CutPrefix(domain, "["); ok {
		literal, ok = strings.CutSuffix(literal, "]")
		v6, tagged := literal, len(literal) > len(tagIPv6) && strings.EqualFold(literal[:len(tagIPv6)], tagIPv6)
		if tagged {
			v6 = literal[len(tagIPv6):]
		}
		ip, err := netip.ParseAddr(v6)
		return ok && err == nil && ip.Is4() != tagged && ip.Zone() == ""
	}
	ascii, err := registered.ToASCII(domain)
	if err != nil {
		return false
	}
	for label := range strings.SplitSeq(ascii, ".") {
		if label == "" || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
	}
	return true
}

// registered holds domain names to what DNS and UTS #46 allow, but for hyphens: there are
// hosts with two of them in the third place.
var registered = idna.New(
	idna.MapForLookup(), idna.Transitional(false), idna.CheckHyphens(false), idna.BidiRule(), idna.VerifyDNSLength(true), idna.StrictDomainName(true),
)
