package cmd_test

import (
	"database/sql"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"contacts/contacts"
	"contacts/contacts/contactstest"
)

// databaseFile is where an embedded system keeps its data.
func (s *system) databaseFile() string { return filepath.Join(s.folder, "data", "contacts.db") }

// post sends a contact and returns the answer's status and the problem's type.
func post(t *testing.T, s *system) (status int, body string) {
	t.Helper()
	response, body := request(t, http.MethodPost, s.url+"/v1/contacts", `{"first_name":"Jane"}`)
	return response.StatusCode, body
}

func requireReady(t *testing.T, s *system, status int) {
	t.Helper()
	response, body := request(t, http.MethodGet, s.admin+"/readyz", "")
	require.Equal(t, status, response.StatusCode, body)
}

// When the database's file is not there any more, no write is accepted that would be gone with
// the process, and what the process still has is saved.
func TestEndToEnd_LostFile(t *testing.T) {
	t.Parallel()
	for name, lose := range map[string]func(path string) error{
		"removed": os.Remove,
		"renamed": func(path string) error { return os.Rename(path, path+".old") },
		"replaced": func(path string) error {
			if err := os.Remove(path); err != nil {
				return err
			}
			return os.WriteFile(path, nil, 0o600)
		},
		"log removed":              func(path string) error { return os.Remove(path + "-wal") },
		"index of the log removed": func(path string) error { return os.Remove(path + "-shm") },
		"folder renamed": func(path string) error {
			folder := filepath.Dir(path)
			return os.Rename(folder, folder+".old")
		},
		"folder removed": func(path string) error { return os.RemoveAll(filepath.Dir(path)) },
		"folder empty": func(path string) error { // as where a volume has vanished
			folder := filepath.Dir(path)
			if err := os.Rename(folder, folder+".old"); err != nil {
				return err
			}
			return os.Mkdir(folder, 0o700)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := embedded(t)
			s.start(t)
			made, err := s.client().Create(t.Context(), contactstest.Jane(t), waiting())
			require.NoError(t, err)
			requireReady(t, s, http.StatusOK)

			require.NoError(t, lose(s.databaseFile()))
			status, body := post(t, s)
			require.Equal(t, http.StatusServiceUnavailable, status, body)
			require.Contains(t, body, `"type":"/problems/storage-lost"`)
			require.Contains(t, body, "put it back")
			requireReady(t, s, http.StatusServiceUnavailable)
			saved := regexp.MustCompile(`"saved":"([^"]+)"`)
			require.Eventually(t, func() bool { return saved.MatchString(s.processes[0].log()) }, time.Minute, 10*time.Millisecond)
			read, err := s.client().Get(t.Context(), made.Contact)
			require.NoError(t, err, "what is there can be read")
			require.Equal(t, made.Document, read.JSON)
			require.Zero(t, s.processes[0].terminate(t))

			// The copy has all that was accepted.
			require.NoError(t, os.RemoveAll(filepath.Dir(s.databaseFile())+".old"))
			copied := saved.FindStringSubmatch(s.processes[0].log())[1]
			t.Cleanup(func() { _ = os.Remove(copied) })
			info, err := os.Stat(copied)
			require.NoError(t, err)
			require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
			again := embedded(t)
			if name == "removed" {
				forgotten := run(t, s.folder, s.env, "serve")
				require.Equal(t, 1, forgotten.status, "it is not begun anew in silence")
				require.Contains(t, forgotten.stderr, filepath.Base(copied))
				// In the lost file's place, where nothing is left that SQLite would take for
				// the copy's
				again.folder = s.folder
			} else {
				require.NoError(t, os.Mkdir(filepath.Dir(again.databaseFile()), 0o700))
			}
			require.NoError(t, os.Rename(copied, again.databaseFile()))
			again.start(t)
			read, err = again.client().Get(t.Context(), made.Contact)
			require.NoError(t, err)
			require.Equal(t, made.Document, read.JSON)
			page, err := again.client().List(t.Context(), contacts.Filter{}, 10, "")
			require.NoError(t, err)
			require.Len(t, page.Items, 1, "and nothing that was refused")
		})
	}
}

// What is left of a file that was cut to nothing takes no more writes.
func TestEndToEnd_FileCutOff(t *testing.T) {
	t.Parallel()
	s := embedded(t)
	s.start(t)
	require.NoError(t, os.Truncate(s.databaseFile(), 0))
	status, body := post(t, s)
	require.Equal(t, http.StatusServiceUnavailable, status, body)
	require.Contains(t, body, `"type":"/problems/storage-lost"`)
	requireReady(t, s, http.StatusServiceUnavailable)
}

// A file that is lost again after it was put back is saved again, also when nothing is
// written.
func TestEndToEnd_LostTwice(t *testing.T) {
	t.Parallel()
	s := embedded(t)
	s.start(t)
	saved := func(times int) {
		t.Helper()
		require.Eventually(t, func() bool { return strings.Count(s.processes[0].log(), `"saved":`) == times }, time.Minute, 10*time.Millisecond)
	}
	away := s.databaseFile() + ".away"
	require.NoError(t, os.Rename(s.databaseFile(), away))
	saved(1)
	require.NoError(t, os.Rename(away, s.databaseFile()))
	status, body := post(t, s)
	require.Equal(t, http.StatusCreated, status, body)
	require.NoError(t, os.Remove(s.databaseFile()))
	require.Zero(t, s.processes[0].terminate(t))
	saved(2)
}

// The path that the settings name is compared, and not only the one that it led to.
func TestEndToEnd_LinkToAnotherFolder(t *testing.T) {
	t.Parallel()
	s := embedded(t)
	for _, name := range []string{"v1", "v2"} {
		require.NoError(t, os.Mkdir(filepath.Join(s.folder, name), 0o700))
	}
	require.NoError(t, os.Symlink("v1", filepath.Join(s.folder, "data")))
	s.start(t)
	status, body := post(t, s)
	require.Equal(t, http.StatusCreated, status, body)
	require.NoError(t, os.Remove(filepath.Join(s.folder, "data")))
	require.NoError(t, os.Symlink("v2", filepath.Join(s.folder, "data")))
	status, body = post(t, s)
	require.Equal(t, http.StatusServiceUnavailable, status, body)
}

// A file that is put back is used again.
func TestEndToEnd_FileComesBack(t *testing.T) {
	t.Parallel()
	s := embedded(t)
	s.start(t)
	require.NoError(t, os.Rename(s.databaseFile(), s.databaseFile()+".away"))
	status, _ := post(t, s)
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.NoError(t, os.Rename(s.databaseFile()+".away", s.databaseFile()))
	status, body := post(t, s)
	require.Equal(t, http.StatusCreated, status, body)
	requireReady(t, s, http.StatusOK)
}

// Two processes never work on one file, also by different paths.
func TestCommand_OneFileManyPaths(t *testing.T) {
	t.Parallel()
	s := embedded(t)
	s.start(t)
	folder := t.TempDir()
	refused := func(path, said string) {
		t.Helper()
		second := run(t, s.folder, append(s.env, "CONTACTS_DATABASE_URL=sqlite://"+path), "serve")
		require.Equal(t, 1, second.status)
		require.Contains(t, second.stderr, said)
	}
	link, linked := filepath.Join(folder, "link.db"), filepath.Join(folder, "folder")
	require.NoError(t, os.Symlink(s.databaseFile(), link))
	require.NoError(t, os.Symlink(filepath.Dir(s.databaseFile()), linked))
	refused(link, "another process works on")
	refused(filepath.Join(linked, "contacts.db"), "another process works on")
	locks, err := filepath.Glob(filepath.Join(s.folder, "data", "*lock*"))
	require.NoError(t, err)
	require.Empty(t, locks, "there is no lock that could be removed")

	// A process beside it finds the same log through a link.
	seeded := run(t, s.folder, append(s.env, "CONTACTS_DATABASE_URL=sqlite://"+link), "seed", "--count", "3")
	require.Zero(t, seeded.status, seeded.stderr)
	page, err := s.client().List(t.Context(), contacts.Filter{}, 10, "")
	require.NoError(t, err)
	require.Len(t, page.Items, 3)

	hard := filepath.Join(s.folder, "hard.db")
	require.NoError(t, os.Link(s.databaseFile(), hard))
	refused(hard, "has 2 names")
	status, body := post(t, s)
	require.Equal(t, http.StatusCreated, status, body)
	require.Zero(t, s.processes[0].terminate(t))
	refused(s.databaseFile(), "has 2 names")
	require.NoError(t, os.Remove(hard))
	s.start(t)
}

// behindItsBack opens the file of an embedded system that has ended.
func (s *system) behindItsBack(t *testing.T, do func(db *sql.DB)) {
	t.Helper()
	db, err := sql.Open("sqlite", s.databaseFile())
	require.NoError(t, err)
	do(db)
	require.NoError(t, db.Close())
}

// What a process that was killed had claimed is delivered at the next start, also when its
// clock was an hour ahead.
func TestEndToEnd_ClockSetBack(t *testing.T) {
	t.Parallel()
	s := embedded(t)
	s.start(t)
	s.processes[0].kill()
	group := contacts.MessageGroup(contacts.DefaultTenant, contactstest.NewID(t))
	s.behindItsBack(t, func(db *sql.DB) {
		// The command comes again, claimed by a process with a clock that was ahead.
		ahead := time.Now().Add(time.Hour).UnixMilli()
		_, err := db.ExecContext(t.Context(), "INSERT INTO queue_messages (group_id, body, sent_at) VALUES (?, ?, ?)", group, "unreadable", ahead)
		require.NoError(t, err)
		_, err = db.ExecContext(t.Context(), "INSERT INTO queue_groups (group_id, head, visible_at, token, attempts) VALUES (?, last_insert_rowid(), ?, 'old', 1)", group, ahead)
		require.NoError(t, err)
	})
	s.start(t)
	require.Eventually(t, func() bool { return strings.Contains(s.processes[0].log(), group) }, time.Minute, 10*time.Millisecond,
		"it is delivered")
}

// A write that the disk has no room for is refused, and known not to have happened. The
// process is ready again when there is room.
func TestEndToEnd_DiskFull(t *testing.T) {
	t.Parallel()
	s := embedded(t)
	s.start(t)
	status, body := post(t, s)
	require.Equal(t, http.StatusCreated, status, body)
	limit := func(bytes uint64) {
		old := unix.Rlimit{}
		require.NoError(t, unix.Prlimit(s.processes[0].Pid(), unix.RLIMIT_FSIZE, nil, &old))
		require.NoError(t, unix.Prlimit(s.processes[0].Pid(), unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: bytes, Max: old.Max}, nil))
	}
	limit(1)
	response, body := request(t, http.MethodPost, s.url+"/v1/contacts", `{"first_name":"Jane"}`, "Idempotency-Key", `"full"`)
	require.Equal(t, http.StatusServiceUnavailable, response.StatusCode, body)
	require.Contains(t, body, `"type":"/problems/unavailable"`)
	require.NotContains(t, body, "operation", "there is none to ask for")
	requireReady(t, s, http.StatusServiceUnavailable)
	limit(unix.RLIM_INFINITY)
	requireReady(t, s, http.StatusOK)
	response, body = request(t, http.MethodPost, s.url+"/v1/contacts", `{"first_name":"Jane"}`, "Idempotency-Key", `"full"`)
	require.Equal(t, http.StatusCreated, response.StatusCode, body)
	page, err := s.client().List(t.Context(), contacts.Filter{}, 10, "")
	require.NoError(t, err)
	require.Len(t, page.Items, 2)
}

// A start with a clock that is far ahead purges no more than a share of what is kept. An
// operator purges the rest.
func TestEndToEnd_ClockAhead(t *testing.T) {
	t.Parallel()
	s := embedded(t)
	s.start(t)
	for range 30 {
		_, err := s.client().Create(t.Context(), contactstest.Jane(t), waiting())
		require.NoError(t, err)
	}
	require.Zero(t, s.processes[0].terminate(t))
	count := func() (n int) {
		s.behindItsBack(t, func(db *sql.DB) {
			require.NoError(t, db.QueryRowContext(t.Context(), "SELECT count(*) FROM operations").Scan(&n))
		})
		return n
	}
	s.behindItsBack(t, func(db *sql.DB) {
		// All is as old as it would seem with a clock 100 days ahead.
		for _, statement := range []string{
			"UPDATE operations SET ended_at = datetime('now', '-100 days')", "UPDATE contact_changes SET changed_at = datetime('now', '-100 days')",
		} {
			_, err := db.ExecContext(t.Context(), statement)
			require.NoError(t, err)
		}
	})
	s.start(t)
	require.Eventually(t, func() bool { return strings.Contains(s.processes[0].log(), "old changes purged") }, time.Minute, 10*time.Millisecond)
	require.Eventually(t, func() bool { return strings.Contains(s.processes[0].log(), "old operations purged") }, time.Minute, 10*time.Millisecond)
	require.Zero(t, s.processes[0].terminate(t))
	require.Equal(t, 29, count())
	shown := run(t, s.folder, s.env, "worker", "purge")
	require.Zero(t, shown.status, shown.stderr)
	require.Regexp(t, `operations +\S+ +29\n`, shown.stdout)
	require.Equal(t, 29, count())
	require.Zero(t, run(t, s.folder, s.env, "worker", "purge", "--confirm").status)
	require.Zero(t, count())
}
