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

// KeyPair names the files of a certificate, with its chain, and of its private key, both PEM. The
// zero KeyPair is none.
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

	mu   sync.Mutex
	seen [2]os.FileInfo // of the files that were read last
	pair *tls.Certificate
}

// newCertificate reads a key pair.
func newCertificate(files KeyPair, log *slog.Logger) (*certificate, error) {
	pair, err := files.load()
	if err != nil {
		return nil, err
	}
	c := &certificate{files: files, log: log, pair: pair}
	_, c.seen = c.changed()
	return c, nil
}

// get returns the key pair for one more connection. It reads the files again when they have
// changed; while they cannot be read, as between the two of them being replaced, the pair that was
// read before goes on being used.
func (c *certificate) get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	changed, now := c.changed()
	if !changed {
		return c.pair, nil
	}
	c.seen = now
	pair, err := c.files.load()
	if err != nil {
		c.log.WarnContext(hello.Context(), "certificate not read again; the one before is still used", "error", err)
		return c.pair, nil
	}
	c.log.InfoContext(hello.Context(), "certificate read again", "file", c.files.CertFile)
	c.pair = pair
	return pair, nil
}

// changed reports whether the files are others than those that were read.
func (c *certificate) changed() (changed bool, now [2]os.FileInfo) {
	for i, path := range []string{c.files.CertFile, c.files.KeyFile} {
		info, err := os.Stat(path)
		if err != nil {
			return false, now // it is about to come
		}
		old := c.seen[i]
		changed = changed || old == nil || !os.SameFile(info, old) || info.Size() != old.Size() || !info.ModTime().Equal(old.ModTime())
		now[i] = info
	}
	return changed, now
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
