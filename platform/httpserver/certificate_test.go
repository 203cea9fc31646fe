package httpserver_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"contacts/platform/httpserver"
)

// writePair writes a new certificate with a serial number, and its key, into the files.
func writePair(t *testing.T, files httpserver.KeyPair, serial int64) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	for path, block := range map[string]pem.Block{
		files.CertFile: {Type: "CERTIFICATE", Bytes: raw}, files.KeyFile: {Type: "PRIVATE KEY", Bytes: private},
	} {
		require.NoError(t, os.WriteFile(path, pem.EncodeToMemory(&block), 0o600))
	}
	certificate, err := x509.ParseCertificate(raw)
	require.NoError(t, err)
	return certificate
}

func TestServer_TLS(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	files := httpserver.KeyPair{CertFile: filepath.Join(folder, "cert.pem"), KeyFile: filepath.Join(folder, "key.pem")}
	require.ErrorContains(t, files.Check(), files.CertFile)
	first := writePair(t, files, 1)
	require.NoError(t, files.Check())
	var log bytes.Buffer
	url, stop := start(t, httpserver.Options{
		TLS: files, Log: slog.New(slog.NewTextHandler(&log, nil)), Connections: 4,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }),
	})
	url = strings.Replace(url, "http://", "https://", 1)
	// visit asks over a connection of its own, and returns the serial number of the server's
	// certificate.
	visit := func(trusted *x509.Certificate) int64 {
		t.Helper()
		roots := x509.NewCertPool()
		roots.AddCert(trusted)
		client := http.Client{Transport: &http.Transport{
			DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true,
		}}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		require.NoError(t, err)
		response, err := client.Do(r)
		require.NoError(t, err)
		body, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Equal(t, "hello", string(body))
		require.Equal(t, 1, response.ProtoMajor)
		require.NotEmpty(t, response.Header.Get("Strict-Transport-Security"))
		return response.TLS.PeerCertificates[0].SerialNumber.Int64()
	}
	for range 10 { // more than may be open at the same time
		require.EqualValues(t, 1, visit(first))
	}
	second := writePair(t, files, 2)
	require.EqualValues(t, 2, visit(second))
	require.NoError(t, os.WriteFile(files.KeyFile, []byte("not yet"), 0o600))
	require.EqualValues(t, 2, visit(second), "while the files cannot be read")
	require.NoError(t, os.Remove(files.CertFile))
	require.EqualValues(t, 2, visit(second))
	third := writePair(t, files, 3)
	require.EqualValues(t, 3, visit(third))
	require.NoError(t, stop())
	require.Contains(t, log.String(), "certificate cannot be read again")
}

// Connections that begin no TLS are as limited as those that send no request.
func TestServer_TLS_Silent(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	files := httpserver.KeyPair{CertFile: filepath.Join(folder, "cert.pem"), KeyFile: filepath.Join(folder, "key.pem")}
	writePair(t, files, 1)
	url, _ := start(t, httpserver.Options{TLS: files, Log: slog.New(slog.DiscardHandler), Connections: 4, Handler: http.NotFoundHandler()})
	address := strings.TrimPrefix(url, "http://")
	var silent []net.Conn
	for range 20 {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", address)
		require.NoError(t, err)
		silent = append(silent, conn)
	}
	client := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+address, nil)
	require.NoError(t, err)
	response, err := client.Do(r)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	for _, conn := range silent {
		require.NoError(t, conn.Close())
	}
}
