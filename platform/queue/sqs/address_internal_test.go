package sqs

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseAddress(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]address{
		"https://sqs.eu-west-1.amazonaws.com/123456789012/commands.fifo":        {region: "eu-west-1", name: "commands.fifo"},
		"https://sqs.cn-north-1.amazonaws.com.cn/123456789012/commands.fifo":    {region: "cn-north-1", name: "commands.fifo"},
		"http://127.0.0.1:4566/000000000000/commands.fifo":                      {endpoint: "http://127.0.0.1:4566", name: "commands.fifo"},
		"https://vpce-1.sqs.eu-west-1.vpce.amazonaws.com/123456789012/a.fifo":   {endpoint: "https://vpce-1.sqs.eu-west-1.vpce.amazonaws.com", name: "a.fifo"},
		"http://sqs.eu-west-1.localhost.localstack.cloud:4566/000000000/a.fifo": {endpoint: "http://sqs.eu-west-1.localhost.localstack.cloud:4566", name: "a.fifo"},
	} {
		got, err := parseAddress(raw)
		require.NoError(t, err, raw)
		require.Equal(t, want, got, raw)
	}
	for _, raw := range []string{
		"", "commands.fifo", "sqs://host/commands.fifo", "https:///commands.fifo", "http://host/commands", "http://host/.fifo",
		"http://key:secret@host/commands.fifo", "http://host:port/commands.fifo",
	} {
		_, err := parseAddress(raw)
		require.Error(t, err, raw)
		require.NotContains(t, err.Error(), "secret")
	}
}

func TestNewClient_RegionAndEndpoint(t *testing.T) {
	const aws, local = "https://sqs.eu-west-1.amazonaws.com/123456789012/a.fifo", "http://127.0.0.1:4566/000000000000/a.fifo"
	cases := map[string]struct {
		url, region, endpoint    string
		wantRegion, wantEndpoint string
	}{
		"region from the URL":        {url: aws, wantRegion: "eu-west-1"},
		"the URL's region wins":      {url: aws, region: "us-east-1", wantRegion: "eu-west-1"},
		"endpoint from the URL":      {url: local, region: "us-east-1", wantRegion: "us-east-1", wantEndpoint: "http://127.0.0.1:4566"},
		"the configured endpoint":    {url: local, region: "us-east-1", endpoint: "http://elsewhere", wantRegion: "us-east-1", wantEndpoint: "http://elsewhere"},
		"the configured one for AWS": {url: aws, endpoint: "http://elsewhere", wantRegion: "eu-west-1", wantEndpoint: "http://elsewhere"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Setenv("AWS_REGION", c.region)
			t.Setenv("AWS_ENDPOINT_URL_SQS", c.endpoint)
			parsed, err := parseAddress(c.url)
			require.NoError(t, err)
			client, err := newClient(t.Context(), parsed, nil)
			require.NoError(t, err)
			options := client.Options()
			require.Equal(t, c.wantRegion, options.Region)
			if c.wantEndpoint == "" {
				require.Nil(t, options.BaseEndpoint)
			} else {
				require.Equal(t, c.wantEndpoint, *options.BaseEndpoint)
			}
		})
	}
}

func TestNewClient_NoRegion(t *testing.T) {
	t.Setenv("AWS_REGION", "")
	_, err := newClient(t.Context(), address{endpoint: "http://127.0.0.1:4566", name: "a.fifo"}, nil)
	require.ErrorContains(t, err, "AWS_REGION")
}

func TestNewClient_BoundedAttempts(t *testing.T) {
	t.Setenv("AWS_MAX_ATTEMPTS", "50")
	client, err := newClient(t.Context(), address{name: "a.fifo", region: "eu-west-1"}, nil)
	require.NoError(t, err)
	require.Equal(t, attempts, client.Options().Retryer.MaxAttempts())
}
