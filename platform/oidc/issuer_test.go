package oidc_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"contacts/platform/oidc"
	"contacts/platform/oidc/oidctest"
)

// fetch is how many requests it takes to fetch the keys.
const fetch = 2

func TestVerifier_Verify_FetchesOnce(t *testing.T) {
	t.Parallel()
	issuer := oidctest.NewIssuer(t)
	verifier := open(t, issuer, nil)
	token := issuer.Token(nil)
	require.Zero(t, issuer.Requests(), "a program starts without its issuer")

	var callers sync.WaitGroup
	for range 50 {
		callers.Go(func() {
			_, err := verifier.Verify(t.Context(), token)
			if err != nil {
				t.Error(err)
			}
		})
	}
	callers.Wait()
	_, err := verifier.Verify(t.Context(), issuer.Token(map[string]any{"sub": "another"}))
	require.NoError(t, err)
	require.Equal(t, fetch, issuer.Requests())
}

// Garbage is refused without a request.
func TestVerifier_Verify_GarbageNeedsNoIssuer(t *testing.T) {
	t.Parallel()
	issuer := oidctest.NewIssuer(t)
	verifier := open(t, issuer, nil)
	symmetric := oidctest.Sign(t, "HS256", []byte("x"), []byte(`{"alg":"HS256"}`), []byte("{}"))
	for _, token := range []string{"", "a.b.c", issuer.Token(nil) + ".", symmetric} {
		_, err := verifier.Verify(t.Context(), token)
		require.ErrorIs(t, err, oidc.ErrInvalid)
	}
	require.Zero(t, issuer.Requests())
}

// However many unknown keys tokens name, the issuer is asked once in five seconds.
func TestVerifier_Verify_UnknownKeys(t *testing.T) {
	t.Parallel()
	issuer := oidctest.NewIssuer(t)
	forger := oidctest.NewKey(t, "ES256")
	synctest.Test(t, func(t *testing.T) {
		verifier := openInBubble(t, issuer)
		forge := func() {
			forger.ID = rand.Text()
			_, err := verifier.Verify(t.Context(), forger.Sign(t, nil, issuer.Claims(nil)))
			require.ErrorIs(t, err, oidc.ErrInvalid)
		}
		for round := range 3 {
			for range 100 {
				forge()
				time.Sleep(time.Millisecond)
			}
			require.Equal(t, fetch*(round+1), issuer.Requests())
			time.Sleep(5 * time.Second)
		}
		_, err := verifier.Verify(t.Context(), issuer.Token(nil))
		require.NoError(t, err)
		require.Equal(t, fetch*3, issuer.Requests(), "a known key needs no asking")
	})
}

func TestVerifier_Verify_Rotation(t *testing.T) {
	t.Parallel()
	issuer := oidctest.NewIssuer(t)
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		verifier := openInBubble(t, issuer)
		go verifier.Run(ctx)
		synctest.Wait()
		require.Equal(t, fetch, issuer.Requests(), "Run fetches at once")
		old := issuer.Token(map[string]any{"exp": time.Now().Add(time.Hour).Unix()})
		_, err := verifier.Verify(t.Context(), old)
		require.NoError(t, err)

		time.Sleep(5 * time.Second)
		issuer.Rotate()
		_, err = verifier.Verify(t.Context(), issuer.Token(nil))
		require.NoError(t, err, "a new key is fetched when a token names it")
		require.Equal(t, 2*fetch, issuer.Requests())
		_, err = verifier.Verify(t.Context(), old)
		require.NoError(t, err, "the old key is still published")

		issuer.Withdraw()
		time.Sleep(5*time.Minute - 6*time.Second)
		_, err = verifier.Verify(t.Context(), old)
		require.NoError(t, err, "nobody has asked since")
		require.Equal(t, 2*fetch, issuer.Requests())
		time.Sleep(2 * time.Second)
		require.Equal(t, 3*fetch, issuer.Requests(), "Run asks every five minutes")
		_, err = verifier.Verify(t.Context(), old)
		require.ErrorIs(t, err, oidc.ErrInvalid, "a withdrawn key takes remembered tokens along")
		require.ErrorContains(t, err, "it names a key that the issuer does not have")
		_, err = verifier.Verify(t.Context(), issuer.Token(nil))
		require.NoError(t, err)

		issuer.Publish()
		time.Sleep(5 * time.Minute)
		issuer.Publish(oidctest.NewKey(t, "ES256"))
		_, err = verifier.Verify(t.Context(), issuer.Token(nil))
		require.ErrorIs(t, err, oidc.ErrInvalid, "an issuer may withdraw all keys; it was just asked")
		stop()
		synctest.Wait()
	})
}

func TestVerifier_Verify_IssuerAwayAtStart(t *testing.T) {
	t.Parallel()
	issuer := oidctest.NewIssuer(t)
	issuer.SetDown(true)
	synctest.Test(t, func(t *testing.T) {
		token := issuer.Token(nil)
		verifier := openInBubble(t, issuer)
		for range 10 {
			_, err := verifier.Verify(t.Context(), token)
			require.ErrorIs(t, err, oidc.ErrUnavailable)
			require.NotErrorIs(t, err, oidc.ErrInvalid)
			require.ErrorContains(t, err, "the answer must be 200, and is 503")
		}
		require.Equal(t, 1, issuer.Requests(), "an issuer that is away is left alone")
		issuer.SetDown(false)
		time.Sleep(5*time.Second - time.Nanosecond)
		_, err := verifier.Verify(t.Context(), token)
		require.ErrorIs(t, err, oidc.ErrUnavailable)
		time.Sleep(time.Nanosecond)
		_, err = verifier.Verify(t.Context(), token)
		require.NoError(t, err)
	})
}

func TestVerifier_Verify_NobodyListens(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	verifier, err := oidc.New(oidc.Options{
		Issuer: server.URL, Audiences: []string{oidctest.Audience}, TenantClaim: "tenant", Log: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	key := oidctest.NewKey(t, "ES256")
	_, err = verifier.Verify(t.Context(), key.Sign(t, nil, map[string]any{"iss": server.URL}))
	require.ErrorIs(t, err, oidc.ErrUnavailable)
}

// While the issuer is away its last keys are used for an hour.
func TestVerifier_Verify_IssuerAwayLater(t *testing.T) {
	t.Parallel()
	issuer := oidctest.NewIssuer(t)
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		var log bytes.Buffer
		verifier := open(t, issuer, func(o *oidc.Options) {
			o.Client, o.Log = &http.Client{Transport: issuer}, slog.New(slog.NewTextHandler(&log, nil))
		})
		began := time.Now()
		go verifier.Run(ctx)
		synctest.Wait()
		known := map[string]any{"exp": began.Add(24 * time.Hour).Unix()}
		remembered := issuer.Token(known)
		_, err := verifier.Verify(t.Context(), remembered)
		require.NoError(t, err)
		require.Empty(t, log.String())

		issuer.SetDown(true)
		time.Sleep(time.Hour - time.Nanosecond)
		synctest.Wait()
		require.Equal(t, 11, strings.Count(log.String(), "could not be fetched"))
		require.Contains(t, log.String(), "kept=true")
		_, err = verifier.Verify(t.Context(), issuer.Token(known))
		require.NoError(t, err)
		unknown := oidctest.NewKey(t, "ES256").Sign(t, nil, issuer.Claims(nil))
		for range 2 {
			_, err = verifier.Verify(t.Context(), unknown)
			require.ErrorIs(t, err, oidc.ErrUnavailable, "the key may be a new one: nobody can tell")
		}
		time.Sleep(time.Nanosecond)
		for _, token := range []string{remembered, issuer.Token(known), unknown} {
			_, err = verifier.Verify(t.Context(), token)
			require.ErrorIs(t, err, oidc.ErrUnavailable)
		}

		issuer.SetDown(false)
		time.Sleep(5 * time.Second)
		_, err = verifier.Verify(t.Context(), remembered)
		require.NoError(t, err)
		_, err = verifier.Verify(t.Context(), unknown)
		require.ErrorIs(t, err, oidc.ErrInvalid)
		stop()
		synctest.Wait()
	})
}

// A caller waits for a slow issuer no longer than its context lets it; what it has begun
// serves the others.
func TestVerifier_Verify_SlowIssuer(t *testing.T) {
	t.Parallel()
	issuer := oidctest.NewIssuer(t)
	arrived, release := make(chan struct{}, 1), make(chan struct{})
	issuer.Intercept(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == oidctest.KeysPath {
			arrived <- struct{}{}
			<-release
		}
		return false
	})
	verifier := open(t, issuer, nil)
	token := issuer.Token(nil)
	impatient, leave := context.WithCancel(t.Context())
	var callers sync.WaitGroup
	var early, late error
	callers.Go(func() { _, early = verifier.Verify(impatient, token) })
	<-arrived
	leave()
	callers.Wait()
	require.ErrorIs(t, early, oidc.ErrUnavailable)
	require.ErrorIs(t, early, context.Canceled)

	callers.Go(func() { _, late = verifier.Verify(t.Context(), token) })
	close(release)
	callers.Wait()
	require.NoError(t, late)
	require.Equal(t, fetch, issuer.Requests())
}

// transport answers requests by a function.
type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// An issuer that never answers is given five seconds.
func TestVerifier_Verify_FrozenIssuer(t *testing.T) {
	t.Parallel()
	issuer := oidctest.NewIssuer(t)
	synctest.Test(t, func(t *testing.T) {
		verifier := open(t, issuer, func(o *oidc.Options) {
			o.Client = &http.Client{Transport: transport(func(r *http.Request) (*http.Response, error) {
				<-r.Context().Done()
				return nil, r.Context().Err()
			})}
		})
		began := time.Now()
		_, err := verifier.Verify(t.Context(), issuer.Token(nil))
		require.ErrorIs(t, err, oidc.ErrUnavailable)
		require.Equal(t, 5*time.Second, time.Since(began))
	})
}

// answering answers a request in the issuer's place, or returns false.
type answering func(issuer *oidctest.Issuer, w http.ResponseWriter, r *http.Request) bool

// What an issuer can answer wrongly, and what is said of it.
func TestVerifier_Verify_BadDocuments(t *testing.T) {
	t.Parallel()
	answer := func(path string, document any) answering {
		return func(_ *oidctest.Issuer, w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path == path {
				oidctest.WriteJSON(w, document)
			}
			return r.URL.Path == path
		}
	}
	discovery := func(change func(issuer *oidctest.Issuer, document map[string]any)) answering {
		return func(issuer *oidctest.Issuer, w http.ResponseWriter, r *http.Request) bool {
			document := map[string]any{"issuer": issuer.URL, "jwks_uri": issuer.URL + oidctest.KeysPath}
			change(issuer, document)
			return answer(oidctest.DiscoveryPath, document)(issuer, w, r)
		}
	}
	redirect := func(path, to string) answering {
		return func(_ *oidctest.Issuer, w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path == path {
				http.Redirect(w, r, to, http.StatusFound)
			}
			return r.URL.Path == path
		}
	}
	huge := strings.Repeat("x", 512<<10)
	for name, c := range map[string]struct {
		intercept answering
		why       string
	}{
		"discovery of another issuer": {discovery(func(_ *oidctest.Issuer, d map[string]any) {
			d["issuer"] = "https://other.example.com"
		}), `calls itself "https://other.example.com"`},
		"discovery with a slash more": {discovery(func(i *oidctest.Issuer, d map[string]any) { d["issuer"] = i.URL + "/" }), "calls itself"},
		"discovery without issuer":    {discovery(func(_ *oidctest.Issuer, d map[string]any) { delete(d, "issuer") }), "calls itself"},
		"discovery without keys":      {discovery(func(_ *oidctest.Issuer, d map[string]any) { delete(d, "jwks_uri") }), "must be an https URL"},
		"keys over http": {discovery(func(_ *oidctest.Issuer, d map[string]any) {
			d["jwks_uri"] = "http://keys.example.com"
		}), "must be an https URL"},
		"keys in a file": {discovery(func(_ *oidctest.Issuer, d map[string]any) {
			d["jwks_uri"] = "file:///etc/passwd"
		}), "must be an https URL"},
		"discovery is huge":      {answer(oidctest.DiscoveryPath, huge), "longer than 524288 bytes"},
		"keys are huge":          {answer(oidctest.KeysPath, huge), "longer than 524288 bytes"},
		"discovery is no object": {answer(oidctest.DiscoveryPath, "x"), "must be JSON"},
		"keys are no object":     {answer(oidctest.KeysPath, []string{"x"}), "must be JSON"},
		"keys are not there":     {answer(oidctest.KeysPath, map[string]any{}), "must be a JWK set"},
		"too many keys":          {answer(oidctest.KeysPath, map[string]any{"keys": make([]any, 101)}), "at most 100 keys"},
		"no discovery": {func(_ *oidctest.Issuer, w http.ResponseWriter, r *http.Request) bool {
			http.NotFound(w, r)
			return true
		}, "is 404"},
		"moved to http":           {redirect(oidctest.DiscoveryPath, "http://issuer.example.com"), "a redirect to what is not https"},
		"moved to another scheme": {redirect(oidctest.DiscoveryPath, "ftp://127.0.0.1/"), "a redirect to what is not https"},
		"keys moved to http":      {redirect(oidctest.KeysPath, "http://issuer.example.com"), "a redirect to what is not https"},
		"moved in circles":        {redirect(oidctest.KeysPath, oidctest.KeysPath), "more than 3 redirects"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			issuer := oidctest.NewIssuer(t)
			issuer.Intercept(func(w http.ResponseWriter, r *http.Request) bool { return c.intercept(issuer, w, r) })
			_, err := open(t, issuer, nil).Verify(t.Context(), issuer.Token(nil))
			require.ErrorIs(t, err, oidc.ErrUnavailable)
			require.NotErrorIs(t, err, oidc.ErrInvalid)
			require.ErrorContains(t, err, c.why)

			issuer.Intercept(nil)
			_, err = open(t, issuer, nil).Verify(t.Context(), issuer.Token(nil))
			require.NoError(t, err)
		})
	}
}

// A document may have moved to where it cannot be replaced either.
func TestVerifier_Verify_Redirect(t *testing.T) {
	t.Parallel()
	issuer := oidctest.NewIssuer(t)
	issuer.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == oidctest.KeysPath && r.URL.RawQuery != "again" {
			http.Redirect(w, r, oidctest.KeysPath+"?again", http.StatusFound)
			return true
		}
		return false
	})
	_, err := open(t, issuer, nil).Verify(t.Context(), issuer.Token(nil))
	require.NoError(t, err)
	require.Equal(t, fetch+1, issuer.Requests())
}

// An issuer over https leads nowhere else than over https, not even on loopback.
func TestVerifier_Verify_HTTPS(t *testing.T) {
	t.Parallel()
	plain := oidctest.NewIssuer(t)
	issuer := oidctest.NewIssuer(t)
	server := httptest.NewUnstartedServer(issuer)
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.StartTLS()
	t.Cleanup(server.Close)
	issuer.URL = server.URL
	verify := func() error {
		verifier := open(t, issuer, func(o *oidc.Options) { o.Client = server.Client() })
		_, err := verifier.Verify(t.Context(), issuer.Token(nil))
		return err
	}
	require.NoError(t, verify())

	_, err := open(t, issuer, nil).Verify(t.Context(), issuer.Token(nil))
	require.ErrorIs(t, err, oidc.ErrUnavailable)
	require.ErrorContains(t, err, "certificate", "the issuer must have one that this machine trusts")

	issuer.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == oidctest.DiscoveryPath {
			oidctest.WriteJSON(w, map[string]any{"issuer": issuer.URL, "jwks_uri": plain.URL + oidctest.KeysPath})
		}
		return r.URL.Path == oidctest.DiscoveryPath
	})
	require.ErrorContains(t, verify(), "must be an https URL")
	issuer.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		http.Redirect(w, r, plain.URL+r.URL.Path, http.StatusFound)
		return true
	})
	require.ErrorContains(t, verify(), "a redirect to what is not https")
	require.Zero(t, plain.Requests())
}

// Keys that verify nothing are left out, and do not spoil those beside them.
func TestVerifier_Verify_UnusableKeys(t *testing.T) {
	t.Parallel()
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	require.NoError(t, err)
	secret := []byte("a secret of thirty-two characters")
	with := func(key oidctest.Key, members map[string]any) map[string]any {
		key.Members = members
		return key.JWK()
	}
	good := oidctest.NewKey(t, "ES256")
	ec, ed, large := oidctest.NewKey(t, "ES256"), oidctest.NewKey(t, "EdDSA"), rsaKey(t, 0)
	tiny := oidctest.Key{ID: "tiny", Algorithm: "RS256", Private: small}
	for name, c := range map[string]struct {
		published any
		key       oidctest.Key
	}{
		"for encryption":      {with(ec, map[string]any{"use": "enc"}), ec},
		"for something else":  {with(ec, map[string]any{"use": "tls"}), ec},
		"to sign only":        {with(ec, map[string]any{"use": nil, "key_ops": []string{"sign"}}), ec},
		"for ES384":           {with(ec, map[string]any{"alg": "ES384"}), ec},
		"for none":            {with(ec, map[string]any{"alg": "none"}), ec},
		"not on its curve":    {with(ec, map[string]any{"x": encode(make([]byte, 32))}), ec},
		"on another curve":    {with(ec, map[string]any{"crv": "secp256k1"}), ec},
		"too short":           {with(ed, map[string]any{"x": "AAAA"}), ed},
		"RSA of 1024 bits":    {with(large, map[string]any{"n": encode(small.N.Bytes()), "kid": tiny.ID}), tiny},
		"RSA with exponent 1": {with(large, map[string]any{"e": "AQ"}), large},
		"private":             {with(ed, map[string]any{"d": encode(ed.Private.(ed25519.PrivateKey).Seed())}), ed},
		"of an unknown kind":  {with(ec, map[string]any{"kty": "AKP"}), ec},
		"not a key":           {"x", ec},
		"null":                {nil, ec},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			issuer := oidctest.NewIssuer(t)
			issuer.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path == oidctest.KeysPath {
					oidctest.WriteJSON(w, map[string]any{"keys": []any{
						c.published, good.JWK(), map[string]any{"kty": "oct", "kid": "secret", "k": encode(secret)},
					}})
				}
				return r.URL.Path == oidctest.KeysPath
			})
			verifier := open(t, issuer, nil)
			_, err := verifier.Verify(t.Context(), good.Sign(t, nil, issuer.Claims(nil)))
			require.NoError(t, err)
			_, err = verifier.Verify(t.Context(), c.key.Sign(t, nil, issuer.Claims(nil)))
			require.ErrorIs(t, err, oidc.ErrInvalid)
			claims, err := json.Marshal(issuer.Claims(nil))
			require.NoError(t, err)
			_, err = verifier.Verify(t.Context(), oidctest.Sign(t, "HS256", secret, []byte(`{"alg":"HS256","kid":"secret"}`), claims))
			require.ErrorIs(t, err, oidc.ErrInvalid)
		})
	}
}
