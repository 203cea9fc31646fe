package httpserver

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"sync"
)

// KeyPair names the files of a certificate, with its chain, and of its private key, both PEM.
// The zero KeyPair is none.
type KeyPair struct{ CertFile, KeyFile string }

// Check reports why the key pair, if there is one, cannot be used.
func (p KeyPair) Check() error {
	if p.CertFile == "" || p.KeyFile == "" {
		return nil
	}
	_, err := p.load()
	return err
}

func (p KeyPair) load() (*tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(p.CertFile, p.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("read the certificate %s and its key %s: %w", p.CertFile, p.KeyFile, err)
	}
	return &pair, nil
}

// certificate is a key pair as it is in its files now.
type certificate struct {
	files KeyPair
	log   *slog.Logger

	mu     sync.Mutex
	read   [2]os.FileInfo // the files that were read last
	failed [2]os.FileInfo // those that could not be read, and were logged
	pair   *tls.Certificate
}

// newCertificate reads a key pair.
func newCertificate(files KeyPair, log *slog.Logger) (*certificate, error) {
	c := &certificate{files: files, log: log}
	now := c.stat()
	pair, err := files.load()
	if err != nil {
		return nil, err
	}
	c.pair, c.read = pair, now
	return c, nil
}

// get returns the key pair for one more connection. It reads the files again when they have
// changed; while they cannot be read, as between the two of them being replaced, the pair that
// was read before goes on being used.
func (c *certificate) get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.stat()
	if same(now, c.read) {
		return c.pair, nil
	}
	pair, err := c.files.load()
	switch {
	case err == nil:
		c.log.InfoContext(hello.Context(), "certificate read again", "file", c.files.CertFile)
		c.pair, c.read, c.failed = pair, now, [2]os.FileInfo{}
	case !same(now, c.failed):
		c.log.WarnContext(hello.Context(), "certificate cannot be read again; the one before is still used", "error", err)
		c.failed = now
	}
	return c.pair, nil
}

// stat looks at the files. What is not there is nil.
func (c *certificate) stat() (now [2]os.FileInfo) {
	for i, path := range []string{c.files.CertFile, c.files.KeyFile} {
		if info, err := os.Stat(path); err == nil {
			now[i] = info
		}
	}
	return now
}

// same reports whether files are the same as before, and unchanged.
func same(now, before [2]os.FileInfo) bool {
	for i := range now {
		a, b := now[i], before[i]
		if a == nil || b == nil {
			if a != b {
				return false
			}
			continue
		}
		if !os.SameFile(a, b) || a.Size() != b.Size() || !a.ModTime().Equal(b.ModTime()) {
			return false
		}
	}
	return true
}

// useTLS has the server speak TLS. It speaks HTTP/1.1 within: its connections are counted, and
// those of HTTP/2 would hold many requests each.
func (s *Server) useTLS(files KeyPair, log *slog.Logger) error {
	if files == (KeyPair{}) {
		return nil
	}
	pair, err := newCertificate(files, log)
	if err != nil {
		return errors.Join(err, s.listener.Close())
	}
	s.server.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: pair.get}
	s.server.Protocols = new(http.Protocols)
	s.server.Protocols.SetHTTP1(true)
	return nil
}
