// Command ferretdb runs FerretDB 1.24 on its SQLite backend as a MongoDB-protocol server for tests.
//
// It prints one line of JSON on stdout, {"url": "...", "version": "...", "mongodb": "..."}, once it accepts
// connections, and exits when its stdin closes: a parent that dies in whatever way takes the server with it.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/FerretDB/FerretDB/build/version"
	"github.com/FerretDB/FerretDB/ferretdb"
)

const module = "github.com/FerretDB/FerretDB"

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "address to listen on; port 0 takes a free one")
	dir := flag.String("dir", "", "folder for the SQLite files; it must exist")
	verbose := flag.Bool("verbose", false, "log every request to stderr")
	flag.Parse()

	if err := run(*listen, *dir, *verbose); err != nil {
		fmt.Fprintln(os.Stderr, "ferretdb:", err)
		os.Exit(1)
	}
}

func run(listen, dir string, verbose bool) error {
	sqliteURL, err := directoryURI(dir)
	if err != nil {
		return err
	}

	level := slog.LevelWarn
	if verbose {
		level = slog.LevelDebug
	}

	server, err := ferretdb.New(&ferretdb.Config{
		Listener:  ferretdb.ListenerConfig{TCP: listen},
		Logger:    slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level})),
		Handler:   "sqlite",
		SQLiteURL: sqliteURL,
	})
	if err != nil {
		return err
	}

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	// The pipe to our parent is the life line: reading ends when the parent closes it or is gone.
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()

	done := make(chan error, 1)
	go func() { done <- server.Run(ctx) }()

	// With port 0 this waits until the system has given one.
	hello := map[string]string{
		"url":     server.MongoDBURI(),
		"version": ferretdbVersion(),
		"mongodb": version.Get().MongoDBVersion,
	}
	if err := json.NewEncoder(os.Stdout).Encode(hello); err != nil {
		cancel()
		<-done
		return err
	}

	return <-done
}

// directoryURI makes the URI that the SQLite backend takes, which must be a folder and end with a slash.
func directoryURI(dir string) (string, error) {
	if dir == "" {
		return "", fmt.Errorf("-dir is missing")
	}
	info, err := os.Stat(dir)
	if err != nil {
		return "", err
	}
	if !info.IsDir() {
		return "", fmt.Errorf("%s is not a folder", dir)
	}
	absolute, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	// Test data need not outlive the machine, only the process, and for that no commit has to wait for the disk.
	pragmas := url.Values{"_pragma": {"busy_timeout(10000)", "journal_mode(wal)", "synchronous(off)"}}
	uri := url.URL{Scheme: "file", Path: filepath.ToSlash(absolute) + "/", RawQuery: pragmas.Encode()}
	return uri.String(), nil
}

// ferretdbVersion reads the module version from the binary: an embedded FerretDB does not know its own.
func ferretdbVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, dep := range info.Deps {
			if dep.Path == module {
				return strings.TrimPrefix(dep.Version, "v")
			}
		}
	}
	return "unknown"
}
