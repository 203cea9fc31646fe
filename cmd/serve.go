package cmd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"contacts/config"
	"contacts/contacts/adapters/httpapi"
	"contacts/platform/health"
	"contacts/platform/httpserver"
	"contacts/platform/ratelimit"
)

func newServe() *cobra.Command {
	var createQueue bool
	serve := &cobra.Command{
		Use:   "serve",
		Short: "Serve the HTTP API; with the embedded queue also apply its writes",
		Args:  usage(cobra.NoArgs),
		RunE: func(command *cobra.Command, _ []string) error {
			settings, err := loadSettings(command, checkListenAddr, checkKeyPair)
			if err != nil {
				return err
			}
			a, err := openApp(command.Context(), settings, options{role: "serve", createQueue: createQueue, logTo: command.ErrOrStderr(), alone: true})
			if err != nil {
				return err
			}
			err = a.serve(command)
			return errors.Join(err, a.close())
		},
	}
	addCreateQueue(serve, &createQueue)
	return serve
}

// serve answers requests until the command's context ends. The requests that are being
// answered then get their answers, for which the worker within this process, if there is one,
// goes on until the last of them.
func (a *app) serve(command *cobra.Command) error {
	door, err := a.newAuthenticator()
	if err != nil {
		return err
	}
	options := httpapi.Options{
		WriteWait: a.settings.Write.Wait, MaxBodyBytes: a.settings.HTTP.MaxBodyBytes, Followers: a.settings.Limit.Followers,
		Requests: a.settings.Limit.Connections / 2, Queries: a.db.Readers() * 3 / 4,
		Limiter: a.limiter, Limit: a.rateLimit(), Log: a.log, Audit: a.audit,
		Metrics: a.metrics.registry, Tracer: a.tracing.Tracer(), Version: version(),
	}
	if !a.settings.Open() {
		options.Authenticate = door.authenticate
	}
	api, err := a.listen(command.Context(), "http.addr", httpserver.Options{
		Addr: a.settings.HTTP.Addr, Handler: httpapi.New(a.service, options), Connections: a.settings.Limit.Connections, TLS: keyPair(a.settings),
	})
	if err != nil {
		return err
	}
	admin, err := a.listenAdmin(command.Context())
	if err != nil {
		return errors.Join(err, api.Close())
	}
	stop := a.runBackground(context.WithoutCancel(command.Context()), a.consumes)
	defer stop()
	context.AfterFunc(command.Context(), func() {
		a.log.Info("stopping: no new requests are taken")
		time.AfterFunc(lastWait, a.service.StopWaiting)
	})
	group, ctx := errgroup.WithContext(command.Context())
	group.Go(func() error { return api.Serve(ctx) })
	group.Go(func() error { return admin.Serve(ctx) })
	group.Go(func() error { door.run(ctx); return nil })
	url := a.scheme() + api.Addr()
	if a.settings.Open() {
		// At every start and log level.
		a.audit.WarnContext(ctx, "every client that reaches the port may do everything: auth.mode is none", "api", url)
	}
	a.greet(command, url, "http://"+admin.Addr())
	return group.Wait()
}

// rateLimit is the limit of each caller; the zero limit where there is none.
func (a *app) rateLimit() ratelimit.Limit {
	limit := a.settings.Limit
	if limit.Rate == 0 {
		return ratelimit.Limit{}
	}
	return ratelimit.PerSecond(limit.Rate, cmp.Or(limit.Burst, 2*limit.Rate))
}

// lastWait is how long, when the process is asked to end, writes may still wait for their
// ends.
const lastWait = 3 * time.Second

// listenAdmin opens the port for operators.
func (a *app) listenAdmin(ctx context.Context) (*httpserver.Server, error) {
	handler := health.Handler(a.log, a.metrics.registry, a.checks()...)
	if a.settings.Admin.Pprof {
		handler = health.WithProfiles(handler)
	}
	return a.listen(ctx, "admin.addr", httpserver.Options{Addr: a.settings.Admin.Addr, Handler: handler, Connections: adminConnections})
}

// adminConnections are for few. They are none of those of the API, so that the process can be
// looked at under any load.
const adminConnections = 64

// listen opens the port that a setting names.
func (a *app) listen(ctx context.Context, key string, o httpserver.Options) (*httpserver.Server, error) {
	o.Log = a.log
	server, err := httpserver.Listen(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	return server, nil
}

// runBackground listens for notices, keeps a shared cache in step and, if asked to, consumes
// commands and keeps house, until ctx ends or the returned function is called, which waits for
// all to end.
func (a *app) runBackground(ctx context.Context, consume bool) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() {
		if err := a.notices.Listen(ctx); err != nil && ctx.Err() == nil {
			a.log.ErrorContext(ctx, "no more notices; the database is asked instead", "error", err)
		}
	})
	for _, keep := range a.keeping {
		running.Go(func() { keep(ctx) })
	}
	if consume {
		running.Go(func() { a.consumer.Run(ctx) })
		running.Go(func() { a.housekeeper.Run(ctx) })
	}
	return func() { cancel(); running.Wait() }
}

// checkKeyPair finds out why the API cannot speak TLS as it is told to.
func checkKeyPair(_ context.Context, settings *config.Config) error {
	if err := keyPair(settings).Check(); err != nil {
		return fmt.Errorf("http.tls_cert, http.tls_key: %w", err)
	}
	return nil
}

// scheme begins the API's URL.
func (a *app) scheme() string {
	if a.settings.HTTP.TLSCert != "" {
		return "https://"
	}
	return "http://"
}

// place says where the data are, without a password.
func (a *app) place() string {
	if a.backend.inProcess {
		return a.settings.Database.URL
	}
	return "in the database that database.url names"
}

// greet says where everything is: to people in words, to machines in a line of the log.
func (a *app) greet(command *cobra.Command, api, admin string) {
	const try = `curl -i -X POST %s/contacts/%s -H 'content-type: application/json' -d '{"first_name":"Jane","last_name":"Doe","email":"jane@example.com","phone":"987654321"}'`
	data := a.place()
	credential := ""
	if !a.settings.Open() {
		credential = ` -H "authorization: Bearer $CREDENTIAL"`
	}
	a.log.InfoContext(command.Context(), "contacts is ready",
		"version", version(), "api", api, "reference", api+"/docs", "admin", admin, "data", data)
	if a.settings.Log.Format == "json" {
		return
	}
	fmt.Fprintf(command.OutOrStdout(), `
contacts is ready.

  API        %[1]s/v1/contacts
  reference  %[1]s/docs
  health     %[2]s/readyz
  data       %[3]s

Try it:

  `+fmt.Sprintf(try, api, credential)+"\n\n", api, admin, data)
}
