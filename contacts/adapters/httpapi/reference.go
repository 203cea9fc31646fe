package httpapi

import (
	"embed"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/labstack/echo/v4"
	"github.com/swaggest/swgui/v5/static"
	"github.com/vearutop/statigz"
	"golang.org/x/sync/semaphore"
)

const (
	documentPath  = "/openapi"
	referencePath = "/docs"
)

// referencePolicy lets the page run its own scripts, apply its own styles and talk to this
// server, and nothing else. Swagger UI sets the styles of elements by script, which no policy
// forbids; its icons are data in its style sheet.
const referencePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

//go:embed reference
var pageFiles embed.FS

// referenceReaders is how many may be sent a part of the page at the same time. It is unpacked
// meanwhile, which takes more memory than anything else that needs no credential.
const referenceReaders = 32

// serveReference serves the OpenAPI document, as it is now, and the page that shows it. The
// page's scripts and styles are in the binary: it works without the internet.
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
		e.Match(methods, path, func(c echo.Context) error { return c.Blob(http.StatusOK, form.mediaType, form.body) }, withoutQuery)
	}

	page := statigz.FileServer(pageFiles, statigz.FSPrefix("reference"))
	page.OnNotFound = statigz.FileServer(static.FS).ServeHTTP // Swagger UI's own
	files := http.StripPrefix(referencePath, page)
	readers := semaphore.NewWeighted(referenceReaders)
	show := func(c echo.Context) error {
		if !readers.TryAcquire(1) {
			return overloaded("too many are reading the reference")
		}
		defer readers.Release(1)
		c.Response().Header().Set("Content-Security-Policy", referencePolicy)
		c.Response().Header().Set("Cache-Control", "no-cache") // its files have tags
		files.ServeHTTP(c.Response(), c.Request())
		return nil
	}
	e.Match(methods, referencePath, show, withoutQuery)
	e.Match(methods, referencePath+"/*", show, withoutQuery)
	e.Match(methods, "/", func(c echo.Context) error { return c.Redirect(http.StatusFound, referencePath) }, withoutQuery)
}
