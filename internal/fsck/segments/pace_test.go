package segments

import (
	"context"
	"errors"
	"testing"
	"time"
)

func TestAWaitForItsTurnEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	p := &pace{rate: 1, next: time.Now().Add(time.Hour)}
	if err := p.wait(ctx, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled wait: %v", err)
	}
}
