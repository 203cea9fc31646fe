package main

import (
	"context"
	"net/http"
	"os"
	"syscall"

	"github.com/labstack/echo/v4"

	"contacts/platform/httpserver"
	"contacts/test/servers"
)

// serveBare answers every request with the same bytes, until ctx ends: the least that a server
// can do.
func serveBare(ctx context.Context, address string, answer []byte) error {
	e := echo.New()
	e.GET("/*", func(c echo.Context) error { return c.Blob(http.StatusOK, "application/json", answer) })
	server, err := httpserver.Listen(ctx, httpserver.Options{Addr: address, Handler: e})
	if err != nil {
		return err
	}
	return server.Serve(ctx)
}

// startBare starts a bare server as a process of its own.
func startBare(ctx context.Context, answer string) (*servers.Server, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	port, err := servers.FreePort(ctx)
	if err != nil {
		return nil, err
	}
	url := "http://127.0.0.1:" + port
	return servers.StartProgram(ctx, url, servers.Program{
		Name: "bare", Args: []string{self, "-bare", "127.0.0.1:" + port, "-answer", answer}, Stop: syscall.SIGKILL,
		Ready: func(ctx context.Context, _ *servers.Server) error {
			c, err := dial(ctx, url)
			if err != nil {
				return err
			}
			return c.conn.Close()
		},
	})
}
