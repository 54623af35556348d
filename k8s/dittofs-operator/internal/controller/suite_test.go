package controller_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/controller-runtime/pkg/log"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/dittofs/dittofs/k8s/dittofs-operator/api/v1alpha1"
	"github.com/dittofs/dittofs/k8s/dittofs-operator/internal/controller"
)

// These tests run the operator against a real etcd and kube-apiserver, without
// kubelet and controllers: the tests play those by writing the status of pods,
// claims and StatefulSets.

const (
	testImage = "dittofs.local/dittofs:test"
	patience  = 20 * time.Second
)

var (
	// api is the test's own way to the API server, without a cache.
	api client.Client
	// writes counts what the operator sends to the API server.
	writes = &writeCounter{all: map[string][]string{}}
)

const withoutAPIServer = "the operator's tests against an API server: KUBEBUILDER_ASSETS does not name a folder with etcd and kube-apiserver"

func TestMain(m *testing.M) {
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		fmt.Println("SKIPPED: " + withoutAPIServer)
		os.Exit(m.Run())
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	level := slog.LevelError
	if os.Getenv("DITTOFS_TEST_VERBOSE") != "" {
		level = slog.LevelDebug
	}
	log.SetLogger(logr.FromSlogHandler(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level})))
	env := &envtest.Environment{
		CRDDirectoryPaths:     []string{filepath.Join("..", "..", "config", "crd")},
		ErrorIfCRDPathMissing: true,
		// A busy machine takes longer than the 20 seconds of the default.
		ControlPlaneStartTimeout: 3 * time.Minute,
	}
	defer func() { _ = env.Stop() }() // also after a start that failed half way
	config, err := env.Start()
	if err != nil {
		fmt.Fprintln(os.Stderr, "start etcd and kube-apiserver:", err)
		return 1
	}
	ctx, cancel := context.WithCancel(context.Background())
	stopped, err := startOperator(ctx, config)
	if err != nil {
		cancel()
		fmt.Fprintln(os.Stderr, "start the operator:", err)
		return 1
	}
	code := m.Run()
	cancel()
	<-stopped
	return code
}

// startOperator runs the manager of cmd with a client that counts writes.
func startOperator(ctx context.Context, config *rest.Config) (<-chan struct{}, error) {
	var err error
	if api, err = client.New(config, client.Options{Scheme: controller.Scheme()}); err != nil {
		return nil, err
	}
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme:  controller.Scheme(),
		Cache:   controller.CacheOptions(),
		Metrics: metricsserver.Options{BindAddress: "0"},
		NewClient: func(config *rest.Config, options client.Options) (client.Client, error) {
			plain, err := client.NewWithWatch(config, options)
			if err != nil {
				return nil, err
			}
			return interceptor.NewClient(plain, writes.funcs()), nil
		},
	})
	if err != nil {
		return nil, err
	}
	if err := controller.Add(mgr, controller.Options{
		DefaultImage: testImage, Transport: fakePods.transport(),
	}); err != nil {
		return nil, err
	}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		if err := mgr.Start(ctx); err != nil {
			fmt.Fprintln(os.Stderr, "the operator ended:", err)
		}
	}()
	return stopped, nil
}

// namespace makes a namespace of the test's own.
func namespace(t *testing.T) string {
	t.Helper()
	if api == nil {
		t.Skip(withoutAPIServer)
	}
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}}
	if err := api.Create(t.Context(), ns); err != nil {
		t.Fatal(err)
	}
	return ns.Name
}

// server makes a DittoServer named nas.
func server(t *testing.T, spec v1alpha1.DittoServerSpec) *v1alpha1.DittoServer {
	t.Helper()
	ds := &v1alpha1.DittoServer{ObjectMeta: metav1.ObjectMeta{Name: "nas", Namespace: namespace(t)}, Spec: spec}
	if err := api.Create(t.Context(), ds); err != nil {
		t.Fatal(err)
	}
	return ds
}

// eventually polls until check returns no error.
func eventually(t *testing.T, check func() error) {
	t.Helper()
	var err error
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if err = check(); err == nil {
			return
		}
	}
	t.Fatalf("after %s: %v", patience, err)
}

// get reads an object, and waits until it exists.
func get[T client.Object](t *testing.T, namespace, name string, object T) T {
	t.Helper()
	eventually(t, func() error {
		return api.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, object)
	})
	return object
}

// update changes an object, again if somebody else did meanwhile.
func update[T client.Object](t *testing.T, object T, change func(T)) {
	t.Helper()
	eventually(t, func() error {
		if err := api.Get(t.Context(), client.ObjectKeyFromObject(object), object); err != nil {
			return err
		}
		change(object)
		return api.Update(t.Context(), object)
	})
}
