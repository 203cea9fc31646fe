package contacts

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// identity folds a value that is compared as a whole, as a label or an external id: case does
// not count, all else does. Texts are equal by it where they are a canonical caseless match
// (Unicode, 3.13, D145).
func identity(text string) string {
	return norm.NFC.String(foldCase(norm.NFD.String(text)))
}

// foldCase is Unicode's full case folding (CaseFolding.txt, C and F). Cherokee folds to
// capitals, where golang.org/x/text/cases exchanges both cases.
func foldCase(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Cherokee, r) {
			return unicode.ToUpper(r)
		}
		return r
	}, cases.Fold().String(text))
}

// addressIdentity folds an email address. Its domain counts in its ASCII form (UTS #46,
// non-transitional), so that bücher.example equals xn--bcher-kva.example.
func addressIdentity(address string) string {
	at := strings.LastIndexByte(address, '@') + 1
	local, domain := identity(address[:at]), address[at:]
	for _, name := range []string{domain, identity(domain)} {
		if ascii, err := domains.ToASCII(name); err == nil && at > 0 {
			return local + ascii
		}
	}
	return local + identity(domain)
}

// domains maps domain names as for a look-up; how long they are and where their hyphens stand
// is left to their registries.
var domains = idna.New(idna.MapForLookup(), idna.Transitional(false), idna.CheckHyphens(false), idna.StrictDomainName(false))

// searchForm folds what is searched, and what is searched for: what looks alike, or is typed
// in its place, is equal, and the spaces between two words are one. A form is at most maxForm
// bytes long: a character can become eighteen.
func searchForm(text string) string {
	if isASCII(text) {
		return strings.Join(strings.Fields(strings.Map(lookalike, strings.ToLower(text))), " ")
	}
	if len(text) <= maxPiece {
		return pieceForm(text)
	}
	var form strings.Builder
	for text != "" && form.Len() < maxForm {
		piece := text[:pieceLength(text)]
		text = text[len(piece):]
		form.WriteString(pieceForm(piece))
		if text != "" && strings.TrimSpace(piece[len(piece)-1:]) == "" {
			form.WriteByte(' ')
		}
	}
	if folded := form.String(); !strings.Contains(folded, "  ") {
		return strings.TrimSpace(folded)
	}
	return strings.Join(strings.Fields(form.String()), " ")
}

const (
	maxPiece = 2000 // bytes that are folded at a time
	maxForm  = 60_000
)

// pieceLength is the length of the next piece of a text: up to its last space, if it has one,
// or to the last place where Unicode may cut it.
func pieceLength(text string) int {
	if len(text) <= maxPiece {
		return len(text)
	}
	if space := strings.LastIndexByte(text[:maxPiece], ' '); space >= 0 {
		return space + 1
	}
	if end := norm.NFKD.LastBoundary([]byte(text[:maxPiece])); end > 0 {
		return end
	}
	return maxPiece
}

func pieceForm(text string) string {
	// the mappings of a character can be characters with mappings; two rounds settle all
	for range 4 {
		before := text
		if text = searchFormOnce(text); text == before {
			break
		}
	}
	return text
}

// searchFormOnce decomposes by compatibility and folds case (Unicode, 3.13, D147), and then
// does what the tables below say. What is left is composed again, so that the kana ば does not
// contain は.
func searchFormOnce(text string) string {
	text = strings.Map(lookalike, text) // before a free-standing accent is decomposed
	text = norm.NFKD.String(foldCase(norm.NFKD.String(text)))
	var folded strings.Builder
	folded.Grow(len(text))
	bare := false // the letter before loses its marks
	for _, r := range text {
		if unicode.Is(unicode.Mn, r) {
			if !bare && !ignorable(r) {
				folded.WriteRune(r)
			}
			continue
		}
		if r = lookalike(r); r < 0 {
			continue
		}
		bare = unicode.In(r, unmarked...)
		switch plain := letters[r]; {
		case plain != "":
			folded.WriteString(plain)
		case unicode.Is(unicode.Nd, r):
			folded.WriteByte(digit(r))
		case unicode.In(r, unicode.Katakana):
			folded.WriteRune(hiragana(r))
		default:
			folded.WriteRune(r)
		}
	}
	return norm.NFC.String(strings.Join(strings.Fields(folded.String()), " "))
}

// writtenOut returns the search form of a text with its umlauts and rings written out, as in
// "mueller" for "Müller" (DIN 5007-2; names in machine-readable passports, ICAO 9303-3), or ""
// where it has none.
func writtenOut(text string) string {
	if !strings.ContainsAny(text, mayBeUmlauts) {
		return ""
	}
	composed := norm.NFC.String(foldCase(norm.NFC.String(text)))
	out := umlauts.Replace(composed)
	if out == composed {
		return ""
	}
	return searchForm(out)
}

// mayBeUmlauts are the characters of which one is in every text with an umlaut or a ring: they are
// composed, or marks, or the unit of Ångström.
const mayBeUmlauts = "äöüåøÄÖÜÅØ\u0308\u030a\u212b"

var umlauts = strings.NewReplacer("ä", "ae", "ö", "oe", "ü", "ue", "å", "aa", "ø", "oe")

// writtenOutWords returns those words of a text that are others when they are written out, or
// "".
func writtenOutWords(text string) string {
	out := words(writtenOut(text))
	if len(out) == 0 {
		return ""
	}
	if plain := words(searchForm(text)); len(plain) == len(out) {
		for i := range out {
			if out[i] == plain[i] {
				out[i] = ""
			}
		}
	}
	return strings.Join(strings.Fields(strings.Join(out, " ")), " ")
}

// words returns the words of a search form, without the punctuation around them: of
// "krausz,(bob)" krausz and bob.
func words(form string) []string {
	all := strings.FieldsFunc(form, func(r rune) bool { return unicode.IsSpace(r) || r == ',' || r == ';' })
	bare := make([]string, 0, len(all))
	for _, word := range all {
		if word = strings.TrimFunc(word, unicode.IsPunct); visible(word) {
			bare = append(bare, word)
		}
	}
	if len(bare) > 0 {
		return bare
	}
	// All are of punctuation alone.
	return slices.DeleteFunc(all, func(word string) bool { return !visible(word) })
}

func isASCII(text string) bool {
	for i := range len(text) {
		if text[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// visible reports whether something of the text can be seen.
func visible(text string) bool {
	return strings.ContainsFunc(text, func(r rune) bool {
		return !unicode.IsSpace(r) && !unicode.IsControl(r) && !ignorable(r) && !unicode.Is(unicode.M, r) && r != brailleBlank
	})
}

const brailleBlank = '\u2800' // a symbol without dots (Unicode code chart of Braille Patterns)

// ignorable reports whether a character is not displayed by itself: the derived property
// Default_Ignorable_Code_Point (Unicode, DerivedCoreProperties.txt, which says of what).
func ignorable(r rune) bool {
	switch {
	case r < '\u00AD', '\uFFF9' <= r && r <= '\uFFFB', '\U00013430' <= r && r <= '\U00013440':
		return false
	case unicode.Is(unicode.Cf, r):
		return !unicode.Is(unicode.Prepended_Concatenation_Mark, r)
	default:
		return unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
	}
}

// unmarked are the scripts in which people leave out marks. In others, as the Indic ones and
// kana, a mark makes another syllable.
var unmarked = []*unicode.RangeTable{unicode.Latin, unicode.Greek, unicode.Cyrillic, unicode.Hebrew, unicode.Arabic}

// digit returns the ASCII form of a decimal digit: Unicode has them in runs from zero to nine
// (4.6).
func digit(r rune) byte {
	zero := r
	for unicode.Is(unicode.Nd, zero-1) {
		zero--
	}
	return '0' + byte(r-zero)
}

// hiragana returns the hiragana of a katakana. Those that have one are 96 after it (Unicode
// code charts of both).
func hiragana(r rune) rune {
	if 'ァ' <= r && r <= 'ヶ' || r == 'ヽ' || r == 'ヾ' {
		return r - ('ァ' - 'ぁ')
	}
	return r
}

// lookalike returns the character that r is taken for, or -1 where r is not displayed.
func lookalike(r rune) rune {
	switch same, ok := lookalikes[r]; {
	case ok:
		return same
	case r < utf8.RuneSelf:
		return r
	case unicode.Is(unicode.Pd, r): // hyphens and dashes
		return '-'
	case ignorable(r):
		return -1
	default:
		return r
	}
}

// lookalikes are characters that are taken, or typed, for the first one of their group:
// punctuation after UTS #39 (confusables.txt) and the code charts' cross references, Arabic
// letters after their shapes without dots (Unicode, 9.2, table 9-8) and the keyboards of
// Arabic, Persian and Urdu. Dashes are a category of their own, see [lookalike].
var lookalikes = grouped(
	"'`´‘’‚‛′‵ʹʻʼʽʾʿˈˊˋꞋꞌ՚׳＇",
	"\"“”„‟«»‹›″‶ʺ״「」『』〝〞〟＂",
	"-−⁃˗", ".。．｡", ",،、，､",
	" ・･", // between the names of a foreigner in katakana
	"كکڪ", "يیىېے", "هہھەۃة", "اٱ",
)

func grouped(groups ...string) map[rune]rune {
	same := map[rune]rune{'ـ': -1} // the tatweel stretches a word, and is no letter of it
	for _, group := range groups {
		first, _ := utf8.DecodeRuneInString(group)
		for _, r := range group {
			same[r] = first
		}
	}
	return same
}

// letters are those that no decomposition takes apart: with strokes, and ligatures (UTS #39;
// CLDR, root collation, where they sort with their base letters).
var letters = map[rune]string{
	'ø': "o", 'ł': "l", 'đ': "d", 'ð': "d", 'ħ': "h", 'ı': "i", 'ŧ': "t", 'ƀ': "b", 'ǥ': "g", 'ɨ': "i", 'ɉ': "j",
	'ƚ': "l", 'ɍ': "r", 'ʉ': "u", 'ƶ': "z", 'ȼ': "c", 'ɇ': "e", 'ⱥ': "a", 'ⱦ': "t", 'æ': "ae", 'œ': "oe", 'þ': "th",
}
