// Package refresh brings a changed configuration to a running server within
// seconds. The kubelet looks at the ConfigMap of a pod about once a minute, and
// at once when the pod changes: so an annotation of the pod is changed.
package refresh

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dittofs/dittofs/k8s/dittofs-operator/internal/apply"
	"github.com/dittofs/dittofs/k8s/dittofs-operator/internal/names"
)

const (
	// first is after how long the kubelet is told again: it can have looked
	// before it knew of the new ConfigMap. Each time takes twice as long, up to
	// last.
	first = 2 * time.Second
	last  = time.Minute
	// keep is how long a pod that is not spoken of any more is remembered.
	keep = 10 * time.Minute
)

// Kubelets tells kubelets to look. It is safe for concurrent use.
type Kubelets struct {
	Client client.Client
	Clock  clock.PassiveClock

	mu   sync.Mutex
	told map[types.UID]telling // by pod
}

type telling struct {
	hash  string
	times int
	next  time.Time // when to tell again
}

// Tell makes the kubelet look at the ConfigMap of a pod, unless it was told so a
// moment ago. hash is that of the configuration.
func (k *Kubelets) Tell(ctx context.Context, pod *corev1.Pod, hash string) error {
	times, due := k.due(pod.UID, hash)
	if !due {
		return nil
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"uid":         pod.UID, // refused if it is another pod
		"annotations": map[string]string{names.AnnotationRefresh: fmt.Sprintf("%s-%d", hash, times)},
	}})
	if err != nil {
		return err
	}
	target := &corev1.Pod{}
	target.Namespace, target.Name = pod.Namespace, pod.Name
	if err := k.Client.Patch(ctx, target, client.RawPatch(types.MergePatchType, patch),
		client.FieldOwner(apply.Owner)); err != nil {
		return fmt.Errorf("annotate pod %s: %w", pod.Name, err)
	}
	return nil
}

// due reports whether it is time to tell, and for which time.
func (k *Kubelets) due(pod types.UID, hash string) (times int, due bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.Clock.Now()
	if k.told == nil {
		k.told = map[types.UID]telling{}
	}
	for uid, t := range k.told {
		if now.Sub(t.next) > keep {
			delete(k.told, uid)
		}
	}
	t := k.told[pod]
	if t.hash != hash {
		t = telling{hash: hash}
	}
	if now.Before(t.next) {
		return 0, false
	}
	t.times++
	t.next = now.Add(min(first<<min(t.times-1, 5), last))
	k.told[pod] = t
	return t.times, true
}
