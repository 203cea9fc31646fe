// Package httpserver serves an http.Handler on an address, within limits, until it is told to
// stop.
package httpserver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// The limits of connections; the default ones are where [Options] does not say otherwise.
const (
	readHeaderTimeout    = 5 * time.Second
	readTimeout          = 30 * time.Second // headers and body
	idleTimeout          = 2 * time.Minute  // between the requests of a connection
	maxHeaderBytes       = 16 << 10
	defaultAnswerTimeout = time.Minute
	defaultGrace         = 15 * time.Second
	// DefaultConnections take some 60 MiB of memory when they are kept alive, and half as much
	// again with the longest headers.
	DefaultConnections = 2048
)

// Options are the settings of a [Server]. Addr and Handler are required.
type Options struct {
	// Addr is the host and port to listen on; port 0 chooses a free one.
	Addr string
	// Handler answers the requests. Headers that it does not set are the usual ones: no cache
	// keeps an answer, and browsers do nothing with it but show it.
	Handler http.Handler
	// TLS is what the server speaks TLS with; it speaks plain HTTP where it is zero. The files
	// are read again when they change.
	TLS KeyPair
	// AnswerTimeout is how long a request may take from the end of its headers to the last
	// byte of its answer; 0: one minute. A client that goes on receiving a long answer is
	// given a second more for each 8 KiB. It must be longer than all that a handler may wait
	// for: what is written later is lost with the connection.
	AnswerTimeout time.Duration
	// Connections is how many connections may be open at the same time, at least 2; 0:
	// [DefaultConnections]. Half as many requests may be being answered: see [Overloaded]. One
	// more connection takes the place of the one whose client has kept the server waiting the
	// longest.
	Connections int
	// Grace is how long running requests are given to end when the server stops; 0: 15 s.
	Grace time.Duration
	// Log gets the errors of connections; slog.Default() where nil.
	Log *slog.Logger
}

// Server is a listening server.
type Server struct {
	listener net.Listener
	server   *http.Server
	grace    time.Duration
	log      *slog.Logger
}

// Listen opens the address, so that clients can connect, but serves nothing yet. The caller
// calls Serve, or Close. Its error says that the address cannot be had, for instance because
// another process has it, or that the certificate cannot be read.
func Listen(ctx context.Context, o Options) (*Server, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", o.Addr)
	if err != nil {
		return nil, fmt.Errorf("listen for HTTP on %s: %w", o.Addr, err)
	}
	server := newServer(listener, o)
	if err := server.useTLS(o.TLS, server.log); err != nil {
		return nil, err
	}
	return server, nil
}

func newServer(listener net.Listener, o Options) *Server {
	log := o.Log
	if log == nil {
		log = slog.Default()
	}
	open := &connections{most: cmp.Or(o.Connections, DefaultConnections)}
	open.mostRequests = open.most / 2
	return &Server{
		listener: limitedListener{listener, open},
		grace:    cmp.Or(o.Grace, defaultGrace),
		log:      log,
		server: &http.Server{
			Handler:           open.count(withHeaders(o.Handler)),
			ConnContext:       withConnection,
			ReadHeaderTimeout: readHeaderTimeout,
			ReadTimeout:       readTimeout,
			WriteTimeout:      cmp.Or(o.AnswerTimeout, defaultAnswerTimeout),
			IdleTimeout:       idleTimeout,
			MaxHeaderBytes:    maxHeaderBytes,
			// OPTIONS * has an answer with the usual headers, too.
			DisableGeneralOptionsHandler: true,
			ErrorLog:                     slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		},
	}
}

// Addr is the address that the server listens on, with the port that was chosen.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Close stops at once a server that is not served, or whose requests need no end.
func (s *Server) Close() error {
	return errors.Join(s.server.Close(), ignoreClosed(s.listener.Close()))
}

// Serve answers requests until ctx ends. Then it takes no more, and returns when those that
// run have ended: nil if they did within the grace period, else an error after cutting them
// off. It may be called once.
func (s *Server) Serve(ctx context.Context) error {
	failed := make(chan error, 1)
	serve := s.server.Serve
	if s.server.TLSConfig != nil {
		serve = func(listener net.Listener) error { return s.server.ServeTLS(listener, "", "") }
	}
	go func() { failed <- serve(s.listener) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve HTTP on %s: %w", s.Addr(), err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.grace)
	defer cancel()
	err := s.server.Shutdown(grace)
	if err != nil {
		err = errors.Join(fmt.Errorf("requests on %s cut off after %s: %w", s.Addr(), s.grace, err), s.server.Close())
	}
	if failure := <-failed; !errors.Is(failure, http.ErrServerClosed) {
		err = errors.Join(err, failure)
	}
	return err
}

// ignoreClosed forgives closing twice.
func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
