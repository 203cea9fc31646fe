package main

import (
	"fmt"
	"go/scanner"
	"go/token"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// finding is a place that breaks a rule.
type finding struct {
	file   string
	line   int
	advice string
}

func (f finding) String() string { return fmt.Sprintf("%s:%d: %s", f.file, f.line, f.advice) }

// rule is a word that readers stumble over, and what to write instead.
type rule struct {
	word   *regexp.Regexp
	advice string
}

func word(expression, advice string) rule {
	return rule{regexp.MustCompile(`(?i)\b(?:` + expression + `)\b`), advice}
}

// rules hold for comments, messages and documents.
var rules = []rule{
	word(`who|whoever|whom|whomever`, "name the caller, the operator, the reader; then use that"),
	word(`nobody|somebody|anybody|everybody`, "name what is meant: no caller, another transaction, every role"),
	word(`whatever|whichever`, "say any, every, or regardless of"),
	word(`doorkeeper|vouch|vouches|vouched`, "use the field's term: authenticator, renew trust"),
	word(`deed|deeds|debt|debts|owe|owes|owed`, "use the field's term: event, pending invalidation"),
}

// maxWidth is how wide a comment or a line of a document may be, in columns, where a tab takes
// four.
const maxWidth = 100

// exceptions are files that a rule does not hold for, with the reason.
var exceptions = []struct{ file, reason string }{
	{"test/prose/", "it lists the words"},
	{"LICENSE", "its text is given"},
	{".golangci.yml", "it quotes what linters print"},
}

// check returns the findings of a file; none for a kind of file that has no prose.
func check(file string, source []byte) []finding {
	for _, e := range exceptions {
		if strings.HasPrefix(file, e.file) {
			return nil
		}
	}
	var lines []prose
	switch {
	case strings.HasSuffix(file, ".go"):
		lines = goProse(source)
	case strings.HasSuffix(file, ".md"):
		lines = markdownProse(string(source))
	case strings.HasSuffix(file, ".sql"):
		lines = commentProse(string(source), "--")
	case slices.Contains([]string{".yml", ".yaml", ".tf", ".sh"}, path.Ext(file)), path.Base(file) == "Makefile", path.Base(file) == "Dockerfile":
		lines = commentProse(string(source), "#")
	}
	var found []finding
	for _, l := range lines {
		for _, r := range rules {
			if match := r.word.FindString(l.text); match != "" {
				found = append(found, finding{file, l.line, fmt.Sprintf("%q: %s", match, r.advice)})
			}
		}
		if l.width > maxWidth {
			found = append(found, finding{file, l.line, fmt.Sprintf("%d columns: expected at most %d", l.width, maxWidth)})
		}
	}
	return found
}

// prose is a line of text that people read, and its width where that counts.
type prose struct {
	line  int
	text  string
	width int
}

// goProse returns a Go file's comments and its strings, in which messages and descriptions
// are. Strings in tests are data, and their width does not count anywhere.
func goProse(source []byte) (lines []prose) {
	files := token.NewFileSet()
	file := files.AddFile("", files.Base(), len(source))
	var s scanner.Scanner
	s.Init(file, source, nil, scanner.ScanComments)
	all := strings.Split(string(source), "\n")
	test := strings.Contains(string(source), `"testing"`)
	for {
		at, kind, text := s.Scan()
		switch kind {
		case token.EOF:
			return lines
		case token.COMMENT:
			first := file.Line(at)
			for i, part := range strings.Split(text, "\n") {
				l := prose{line: first + i, text: part}
				if whole := all[first+i-1]; !strings.HasPrefix(text, "//go:") && !strings.HasPrefix(text, "//nolint") {
					l.width = width(whole)
				}
				lines = append(lines, l)
			}
		case token.STRING:
			if !test && strings.Contains(text, " ") {
				lines = append(lines, prose{line: file.Line(at), text: text})
			}
		}
	}
}

// markdownProse returns a document's text outside of code. Tables and links cannot be wrapped.
func markdownProse(source string) (lines []prose) {
	code := false
	for i, line := range strings.Split(source, "\n") {
		if strings.HasPrefix(strings.TrimSpace(line), "```") {
			code = !code
			continue
		}
		if code || strings.HasPrefix(line, "    ") {
			continue
		}
		l := prose{line: i + 1, text: inlineCode.ReplaceAllString(line, "")}
		if !strings.HasPrefix(line, "|") && !strings.Contains(line, "](http") && !strings.HasPrefix(line, "<") {
			l.width = width(line)
		}
		lines = append(lines, l)
	}
	return lines
}

var inlineCode = regexp.MustCompile("`[^`]*`")

// commentProse returns the comments of a file, which begin with a mark.
func commentProse(source, mark string) (lines []prose) {
	for i, line := range strings.Split(source, "\n") {
		_, comment, found := strings.Cut(line, mark+" ")
		if !found {
			continue
		}
		l := prose{line: i + 1, text: comment}
		if strings.HasPrefix(strings.TrimSpace(line), mark) {
			l.width = width(line)
		}
		lines = append(lines, l)
	}
	return lines
}

func width(line string) int { return utf8.RuneCountInString(strings.ReplaceAll(line, "\t", "    ")) }
