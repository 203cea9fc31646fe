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
)

const (
	documentPath  = "/openapi"
	referencePath = "/docs"
)

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
	show := func(c echo.Context) error {
		c.Response().Header().Set("Content-Security-Policy", policy)
		page.ServeHTTP(c.Response(), c.Request())
		return nil
	}
	e.Match(methods, referencePath, show)
	e.Match(methods, referencePath+"/*", show)
	e.Match(methods, "/", func(c echo.Context) error { return c.Redirect(http.StatusFound, referencePath) })
}

var inlineScript = regexp.MustCompile(`(?s)<script>(.*?)</script>`)

// contentPolicy lets the page run its own scripts, and talk to this server only. Scripts inside of the page are allowed
// by their hashes; Swagger UI sets styles on elements, which hashes cannot allow.
func contentPolicy(page http.Handler) string {
	shown := &pageBuffer{header: http.Header{}}
	page.ServeHTTP(shown, &http.Request{Method: http.MethodGet, URL: &url.URL{Path: referencePath}})
	scripts := []string{"script-src 'self'"}
	for _, script := range inlineScript.FindAllSubmatch(shown.Bytes(), -1) {
		sum := sha256.Sum256(script[1])
		scripts = append(scripts, "'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'")
	}
	return "default-src 'self'; " + strings.Join(scripts, " ") +
		"; style-src 'self' 'unsafe-inline'; img-src 'self' data:; base-uri 'none'; frame-ancestors 'none'"
}

// pageBuffer keeps a page as it is written.
type pageBuffer struct {
	bytes.Buffer

	header http.Header
}

var _ http.ResponseWriter = (*pageBuffer)(nil)

func (b *pageBuffer) Header() http.Header { return b.header }
func (b *pageBuffer) WriteHeader(int)     {}
