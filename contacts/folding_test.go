package contacts

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestSearchForm(t *testing.T) {
	for _, same := range [][]string{
		{"o'brannock", "O’Brannock", "O‘BRANNOCK", "oʼbrannock", "o`brannock", "o´brannock", "O＇Brannock", "o′brannock"},
		{"anne-marie", "Anne‐Marie", "Anne‑Marie", "anne–marie", "ANNE—MARIE", "anne−marie", "anne－marie", "Anne־Marie"},
		{`"bob" lee`, "“Bob” Lee", "«bob» lee", "„Bob‟ Lee", "＂Bob＂ Lee"},
		{"a b", " a\t b ", "a\u00a0b", "a\u202fb", "a\u3000b", "a\nb"},
		{"pasta", "\u2068pasta\u2069", "pas\u00adta", "pa\u200bsta", "\ufeffpasta", "pasta\ufe0f"},
		{"jose", "José", "JOSE\u0301", "ｊｏｓé", "ĴÓŠÉ"},
		{"strasse", "Straße", "STRASSE", "STRAẞE"},
		{"lodz ostergaard", "Łódź Østergaard", "łódź østergaard"},
		{"isik insaat", "Işık İnşaat", "ISIK INSAAT"},
		{"οδυσσευσ", "Οδυσσεύς", "ΟΔΥΣΣΕΎΣ"},
		{"елка", "Ёлка", "ёлка", "ЕЛКА"},
		{"שלום", "שָׁלוֹם"},
		{"محمد", "مُحَمَّد", "محـــمد"},
		{"كريمي", "کریمی", "كريمى", "ڪریمی"},
		{"احمد", "أحمد", "ٱحمد", "إحمد"},
		{"0123456789", "٠١٢٣٤٥٦٧٨٩", "۰۱۲۳۴۵۶۷۸۹", "०१२३४५६७८९", "０１２３４５６７８９", "𝟎𝟏𝟐𝟑𝟒𝟓𝟔𝟕𝟖𝟗"},
		{"さくら", "サクラ", "ｻｸﾗ"},
		{"ぱぱ", "パパ", "ﾊﾟﾊﾟ", "は\u309aは\u309a"},
		{"x2 ffi", "X² ﬃ"},
		{"김철수", "김철수"},
		{"あんな かれーにな", "アンナ・カレーニナ", "ｱﾝﾅ･ｶﾚｰﾆﾅ"},
	} {
		for _, text := range same {
			require.Equal(t, same[0], searchForm(text), "%+q", text)
		}
	}
	for _, different := range [][2]string{
		{"はは", "ぱぱ"}, {"किताब", "कताब"}, {"กา", "ก้า"}, {"김", "기"}, {"a", "ა"},
	} {
		require.NotEqual(t, searchForm(different[0]), searchForm(different[1]))
	}
}

func TestIdentity(t *testing.T) {
	for _, same := range [][]string{
		{"josé", "JOSÉ", "Jose\u0301"}, {"strasse", "Straße"}, {"οδυσσευσ", "ΟΔΥΣΣΕΥΣ", "οδυσσευς"}, {"はは", "はは"},
	} {
		for _, text := range same {
			require.Equal(t, same[0], identity(text), "%+q", text)
		}
	}
	for _, different := range [][2]string{{"andre", "andré"}, {"はは", "ぱぱ"}, {"ハハ", "はは"}, {"o'dea", "o’dea"}, {"a b", "ab"}, {"ı", "i"}} {
		require.NotEqual(t, identity(different[0]), identity(different[1]))
	}
}

func TestAddressIdentity(t *testing.T) {
	for _, same := range [][]string{
		{"jane@mail.example", "Jane@Mail.EXAMPLE"},
		{"x@xn--bckerei-lffel-bfb2z.example", "x@bäckerei-löffel.example", "X@BÄCKEREI-LÖFFEL.Example", "x@ba\u0308ckerei-löffel.example"},
		{"x@xn--fa-hia.example", "x@faß.example"},
		{"x@xn--r8jz45g.example", "x@例え.example", "x@例え。example"},
		{"no address", "No Address"},
	} {
		for _, text := range same {
			require.Equal(t, same[0], addressIdentity(text), "%+q", text)
		}
	}
	require.NotEqual(t, addressIdentity("andre@mail.example"), addressIdentity("andré@mail.example"))
}

func TestWrittenOut(t *testing.T) {
	require.Equal(t, "mueller", writtenOut("Müller"))
	require.Equal(t, "goeoek aangstroem", writtenOut("GÖÖK Ångström"))
	require.Equal(t, "mueller aa", writtenOut("Mu\u0308ller \u212b"))
	require.Empty(t, writtenOut("Mueller"))
	require.Empty(t, writtenOut("José"))
}

func TestWrittenOutWords(t *testing.T) {
	require.Equal(t, "mueller oel", writtenOutWords("Café Müller, Öl & Tee"))
	require.Empty(t, writtenOutWords("José"))
}

func TestWords(t *testing.T) {
	require.Equal(t, []string{"krausz", "wendeline"}, words("krausz,wendeline;"))
	require.Equal(t, []string{"o'dea", "bob", "+49"}, words(`o'dea "bob" - (+49)`))
	require.Equal(t, []string{"-", ".", "!!!"}, words("- . !!!"), "there is nothing else")
	require.Equal(t, []string{"smith", "jones"}, words("smith - jones"))
}

func TestVisible(t *testing.T) {
	for _, nothing := range []string{"", " ", "\u200b", "\u3164", "\u2800", "\u00ad\u2060", "\u0301", "\ufe0f", "\u202e", "\u115f\u1160", "\t\n"} {
		require.False(t, visible(nothing), "%+q", nothing)
	}
	for _, something := range []string{"a", "👩🏽‍🚀", "-", "\u200bx", "ー", "\u0600"} {
		require.True(t, visible(something), "%+q", something)
	}
}

// Folding twice is folding once, and the forms of one text are those of its canonical
// equivalents.
func TestFoldings_Idempotent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String().Draw(t, "text")
		for name, fold := range map[string]func(string) string{"search": searchForm, "identity": identity, "address": addressIdentity} {
			once := fold(text)
			if twice := fold(once); twice != once {
				t.Fatalf("%s: %+q becomes %+q and then %+q", name, text, once, twice)
			}
		}
	})
}

func FuzzSearchForm(f *testing.F) {
	for _, seed := range []string{"O’Brannock", "Straße", "パパ", "´", "ﷺ", "İ", "ΐ", "\u0345", "㎏"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if once := searchForm(text); searchForm(once) != once {
			t.Fatalf("%+q becomes %+q and then %+q", text, once, searchForm(once))
		}
		if once := identity(text); identity(once) != once {
			t.Fatalf("%+q becomes %+q and then %+q", text, once, identity(once))
		}
	})
}

// A long text is folded in pieces, and its form stays bounded.
func TestSearchForm_LongTexts(t *testing.T) {
	words := strings.Repeat("Ärger über Öl ", 1000)
	require.Equal(t, strings.TrimSpace(strings.Repeat("arger uber ol ", 1000)), searchForm(words))
	han := strings.Repeat("漢字かな", 5000)
	require.Equal(t, han, searchForm(han), "without a space in it")
	require.Less(t, len(searchForm(strings.Repeat("ﷺ", 20_000))), 120_000)
	require.Equal(t, "e x", searchForm("é"+strings.Repeat(" ", 5000)+"x"))
}
