package httpapi

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/labstack/echo/v4"
	"github.com/swaggest/swgui/v5emb"
	"golang.org/x/sync/semaphore"
)

const (
	documentPath  = "/openapi"
	referencePath = "/docs"
)

// referenceReaders is how many may be sent a part of the page at the same time. It is unpacked meanwhile, which takes more memory
// than anything else that needs no credential.
const referenceReaders = 32

// serveReference serves the OpenAPI document, as it is now, and the page that shows it. The page's scripts and styles are
// in the binary: it works without the internet.
func serveReference(e *echo.Echo, document *huma.OpenAPI) {
	asJSON, err := json.Marshal(document)
	if err != nil {
		panic(fmt.Errorf("encode the OpenAPI document: %w", err)) // it is made of constants
	}
	asYAML, err := document.YAML()
	if err != nil {
		panic(fmt.Errorf("encode the OpenAPI document as YAML: %w", err))
	}
	methods := []string{http.MethodGet, http.MethodHead}
	for path, form := range map[string]struct {
		mediaType string
		body      []byte
	}{
		documentPath + ".json": {"application/openapi+json", asJSON},
		documentPath + ".yaml": {"application/openapi+yaml", asYAML},
	} {
		e.Match(methods, path, func(c echo.Context) error { return c.Blob(http.StatusOK, form.mediaType, form.body) })
	}

	page := v5emb.New(document.Info.Title, documentPath+".json", referencePath)
	policy := contentPolicy(page)
	readers := semaphore.NewWeighted(referenceReaders)
	show := func(c echo.Context) error {
		if !readers.TryAcquire(1) {
			return overloaded("too many are reading the reference")
		}
		defer readers.Release(1)
		c.Response().Header().Set("Content-Security-Policy", policy)
		c.Response().Header().Set("Cache-Control", "no-cache") // its files have tags
		page.ServeHTTP(c.Response(), c.Request())
		return nil
	}
	e.Match(methods, referencePath, show)
	e.Match(methods, referencePath+"/*", show)
	e.Match(methods, "/", func(c echo.Context) error { return c.Redirect(http.StatusFound, referencePath) })
}

// contentPolicy lets the page run its own scripts, apply its own styles and talk to this server, and nothing else. What stands
// inside of the page is allowed by its hash. Swagger UI sets the styles of elements by script, which no policy forbids; its icons
// are data in its style sheet.
func contentPolicy(page http.Handler) string {
	shown := &pageBuffer{header: http.Header{}}
	page.ServeHTTP(shown, &http.Request{Method: http.MethodGet, URL: &url.URL{Path: referencePath}})
	return "default-src 'none'; script-src 'self'" + hashes(shown.Bytes(), "script") + "; style-src 'self'" + hashes(shown.Bytes(), "style") +
		"; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}

// hashes returns the sources that allow what stands in the page's elements of a name.
func hashes(page []byte, element string) string {
	inline := regexp.MustCompile("(?s)<" + element + ">(.*?)</" + element + ">")
	var sources strings.Builder
	for _, match := range inline.FindAllSubmatch(page, -1) {
		sum := sha256.Sum256(match[1])
		sources.WriteString(" 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'")
	}
	return sources.String()
}

// pageBuffer keeps a page as it is written.
type pageBuffer struct {
	bytes.Buffer

	header http.Header
}

var _ http.ResponseWriter = (*pageBuffer)(nil)

func (b *pageBuffer) Header() http.Header { return b.header }
func (b *pageBuffer) WriteHeader(int)     {}
