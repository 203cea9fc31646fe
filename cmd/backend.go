package cmd

import (
	"context"
	"errors"
	"path"
	"time"

	"contacts/config"
	"contacts/contacts/adapters/commandqueue"
	"contacts/platform/queue"
	"contacts/platform/queue/embedded"
	"contacts/platform/queue/sqs"
)

// backend is the queue that queue.url chooses, with all that depends on the choice.
type backend struct {
	// finds out what is wrong with queue.url, without the network
	check func(context.Context) error
	// makes the queue where it is missing; nil: there is nothing to make
	create func(context.Context, *app) error
	// closed with the app, as the dead-letter queue is
	open func(context.Context, *app) (queue.Queue, error)
	// nil: there is no dead-letter queue
	deadLetters func(context.Context, *app) (queue.Queue, error)

	names      commandqueue.Names
	visibility time.Duration
	pollers    int // how many receives a worker has at the same time, at the most
	// the queue is in the database's file, on which one process works: serve, which also
	// migrates it
	inProcess bool
}

func newBackend(settings *config.Config) backend {
	if settings.Embedded() {
		return embeddedBackend(settings)
	}
	return sqsBackend(settings)
}

// embeddedVisibility is how long, after a crash, the embedded queue takes to deliver again
// what was being applied. A live worker extends it.
const embeddedVisibility = 5 * time.Second

func embeddedBackend(settings *config.Config) backend {
	return backend{
		check: func(context.Context) error { return nil },
		open: func(ctx context.Context, a *app) (queue.Queue, error) {
			local := embedded.Open(a.db.Write, a.db.Read, embedded.Options{Visibility: embeddedVisibility})
			a.closers = append(a.closers, closer(local.Close))
			a.metrics.watchAge(local.Age)
			if a.consumes {
				return local, local.ReleaseClaims(ctx)
			}
			return local, nil
		},
		names:      commandqueue.Names{System: "sqlite", Queue: "contacts-commands"},
		visibility: embeddedVisibility,
		pollers:    settings.Worker.Loops,
		inProcess:  true,
	}
}

// closeLimit is how long sends to SQS and its last polls are waited for when the queue is
// closed: as long as they may take.
const closeLimit = config.MaxPollWait + time.Second

func sqsBackend(settings *config.Config) backend {
	url := settings.Queue.URL
	options := func(a *app, url string) sqs.Options {
		return sqs.Options{URL: url, Visibility: settings.Queue.Visibility, Observe: a.metrics.sqsRequest, Log: a.log}
	}
	open := func(ctx context.Context, a *app, url string) (queue.Queue, error) {
		remote, err := sqs.Open(ctx, options(a, url))
		if err != nil {
			return nil, err
		}
		a.closers = append(a.closers, func() error {
			ctx, cancel := context.WithTimeout(context.Background(), closeLimit)
			defer cancel()
			return remote.Close(ctx)
		})
		return remote, nil
	}
	return backend{
		check:       func(ctx context.Context) error { return sqs.Check(ctx, sqs.Options{URL: url}) },
		create:      func(ctx context.Context, a *app) error { return sqs.CreateQueue(ctx, options(a, url)) },
		open:        func(ctx context.Context, a *app) (queue.Queue, error) { return open(ctx, a, url) },
		deadLetters: func(ctx context.Context, a *app) (queue.Queue, error) { return open(ctx, a, sqs.DeadLetterURL(url)) },
		names:       commandqueue.Names{System: "aws_sqs", Queue: path.Base(url)},
		visibility:  settings.Queue.Visibility,
		// SQS hands out ten messages at a time: with more receives than batches, batches can
		// grow beyond that.
		pollers: 2 * settings.Worker.Loops,
	}
}

// errNoQueueToCreate is the error of --create-queue with the embedded queue.
var errNoQueueToCreate = usageError{errors.New("--create-queue: expected queue.url to be the URL of an SQS queue; the embedded one needs no making")}

// openQueue opens the queue and, if asked to, makes it first.
func (a *app) openQueue(ctx context.Context, create bool) (err error) {
	if create {
		if err := a.backend.create(ctx, a); err != nil {
			return err
		}
	}
	a.queue, err = a.backend.open(ctx, a)
	return err
}
