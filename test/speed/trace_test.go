package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Each word of a script is messages by their types, of the client (>) or of the server (<).
func TestPostgres_Counts(t *testing.T) {
	for name, c := range map[string]struct {
		script string
		want   counts
	}{
		"simple":                     {">Q <CZ >Q <CZ", counts{2, 2}},
		"extended":                   {">PDS <1tTZ >BES <2DCZ", counts{2, 1}},
		"one batch":                  {">PBEPBES <12C12CZ", counts{1, 2}},
		"two batches, one wait":      {">BES >BES <2CZ2CZ >BES <2CZ", counts{2, 3}},
		"a batch in two pieces":      {">BEBE <2C2C >S <Z", counts{1, 2}},
		"a flush is a wait":          {">PDH <1tT >BES <2CZ", counts{2, 1}},
		"a notice is no answer":      {">Q <ANS >Q <CZCZ", counts{1, 2}},
		"copy waits for its consent": {">Q <G >ddc <CZ", counts{2, 1}},
		"the end asks nothing":       {">X", counts{}},
	} {
		t.Run(name, func(t *testing.T) {
			var p proxy
			followed := followPostgres(&conversation{proxy: &p})
			// its length, which counts itself, the version and text
			start := binary.BigEndian.AppendUint32(nil, 8+5)
			start = append(binary.BigEndian.AppendUint32(start, 3<<16), "hello"...)
			message, err := followed.fromClient(bufio.NewReader(bytes.NewReader(start)))
			require.NoError(t, err)
			require.Equal(t, start, message)
			_, err = followed.fromServer(bufio.NewReader(strings.NewReader("Z\x00\x00\x00\x05I")))
			require.NoError(t, err)
			begun := p.now()
			require.Equal(t, counts{1, 0}, begun)
			for _, word := range strings.Fields(c.script) {
				next := followed.fromClient
				if word[0] == '<' {
					next = followed.fromServer
				}
				for _, kind := range word[1:] {
					sent := fmt.Sprintf("%c\x00\x00\x00\x09GSZXQ", kind)
					message, err := next(bufio.NewReader(strings.NewReader(sent)))
					require.NoError(t, err)
					require.Equal(t, sent, string(message))
				}
			}
			require.Equal(t, c.want, counts{p.now().roundTrips - begun.roundTrips, p.now().requests})
		})
	}
}

func TestTyped_RefusesNonsense(t *testing.T) {
	_, err := typed(bufio.NewReader(strings.NewReader("HTTP/1.1 400")), 1)
	require.ErrorContains(t, err, "a message of")
	_, err = typed(bufio.NewReader(strings.NewReader("Q\x00\x00\x00\x03")), 1)
	require.ErrorContains(t, err, "a message of 3 bytes")
}

// Each line of a script is one value, of the client (>) or of the server (<).
func TestRedis_Counts(t *testing.T) {
	const get = ">*2 $3 GET $1 k\n"
	for name, c := range map[string]struct {
		script string
		want   counts
	}{
		"one by one":                  {get + "<$1 v\n" + get + "<$-1\n", counts{2, 2}},
		"pipelined":                   {get + get + "<$1 v\n" + get + "<$1 v\n<$1 v\n", counts{1, 3}},
		"nested":                      {get + "<%1 +key *2 :1 ~1 $5 OK\r\nX\n" + get, counts{2, 2}},
		"attributes belong to values": {get + "<|1 +ttl :1 +OK\n" + get, counts{2, 2}},
		"a push is no answer":         {get + "<>2 +invalidate *1 $1 k\n" + get + "<+OK\n<+OK\n", counts{1, 2}},
		"subscriptions get pushes":    {">*2 $9 SUBSCRIBE $1 c\n<>3 $9 subscribe $1 c :1\n" + get + "<+OK\n", counts{2, 2}},
	} {
		t.Run(name, func(t *testing.T) {
			var p proxy
			followed := followRedis(&conversation{proxy: &p})
			for line := range strings.Lines(strings.ReplaceAll(c.script, "\r\n", "\x00")) {
				sent := strings.ReplaceAll(strings.TrimSuffix(line[1:], "\n"), " ", "\r\n") + "\r\n"
				sent = strings.ReplaceAll(sent, "\x00", "\r\n")
				next := followed.fromClient
				if line[0] == '<' {
					next = followed.fromServer
				}
				message, err := next(bufio.NewReader(strings.NewReader(sent)))
				require.NoError(t, err)
				require.Equal(t, sent, string(message))
			}
			require.Equal(t, c.want, p.now())
		})
	}
}

func TestProxy_PassesOn(t *testing.T) {
	server, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer server.Close()
	go func() {
		conn, err := server.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		for reader := bufio.NewReader(conn); ; {
			command, err := value(reader, nil)
			if err != nil {
				return
			}
			_, _ = fmt.Fprintf(conn, "$%d\r\n%s\r\n", len(command), command)
		}
	}()
	p, err := startProxy(t.Context(), server.Addr().String(), followRedis)
	require.NoError(t, err)
	client, err := new(net.Dialer).DialContext(t.Context(), "tcp", p.address)
	require.NoError(t, err)
	defer client.Close()
	reader := bufio.NewReader(client)
	for i := range 3 {
		_, err := client.Write([]byte("*1\r\n$4\r\nPING\r\n"))
		require.NoError(t, err)
		answer, err := value(reader, nil)
		require.NoError(t, err)
		require.Equal(t, "$14\r\n*1\r\n$4\r\nPING\r\n\r\n", string(answer))
		require.Equal(t, counts{i + 1, i + 1}, p.now())
	}
}
