package cmd_test

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"contacts/test/servers"
)

// synced matches the end of a call, in the lines of strace, that returns once what was written
// is on the disk.
var synced = regexp.MustCompile(`f(data)?sync(\(\d+\)| resumed>\)) += 0`)

// In the embedded mode, too, what is answered as done survives a power cut: the kernel is
// asked to put it on the disk first.
func TestEndToEnd_SyncsBeforeItAnswers(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux has strace")
	}
	strace, err := servers.FindStrace()
	require.NoError(t, err)
	s := embedded(t)
	trace := filepath.Join(t.TempDir(), "trace")
	serve := command(t, s.folder, append(s.env, "CONTACTS_LOG_FORMAT=json"), "serve")
	// The tracer is a child of the program and not its parent (-D), so that signals reach the
	// program itself. Pages of the database are shown whole.
	serve.Args = append([]string{strace, "-D", "-f", "-s", "5000", "-o", trace, "-e", "trace=read,write,pwrite64,fsync,fdatasync"},
		serve.Args...)
	serve.Path = strace
	p, ready := launch(t, serve)

	mark := "mark-" + uuid.NewString()
	response, body := request(t, http.MethodPost, ready["api"].(string)+"/v1/contacts", `{"first_name":"`+mark+`"}`)
	require.Equal(t, http.StatusCreated, response.StatusCode, body)
	require.Zero(t, p.terminate(t))
	var lines []byte
	require.Eventually(t, func() bool { // until the tracer has written the end
		lines, err = os.ReadFile(trace)
		return err == nil && bytes.Contains(lines, []byte("+++ exited with 0 +++"))
	}, time.Minute, 10*time.Millisecond)
	var asked, answered, written bool
	syncs := 0
	for line := range strings.Lines(string(lines)) {
		switch {
		case strings.Contains(line, `"POST /v1/contacts `):
			asked = true
		case !asked:
		case strings.Contains(line, `"HTTP/1.1 201 `):
			answered = true
		case strings.Contains(line, "pwrite64(") && strings.Contains(line, mark):
			written = true
		case written && synced.MatchString(line):
			written = false
			syncs++
		}
		if answered {
			break
		}
	}
	require.True(t, answered, "the trace has the request and its answer")
	require.GreaterOrEqual(t, syncs, 2, "the accepted command is on the disk, and then the contact, before the answer")
}
