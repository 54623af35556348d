package status

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// fault is why a pod cannot run. Its words are stable while the kubelet
// alternates between trying and waiting, so that the status is quiet.
type fault struct {
	reason, message string
}

const imagePullFailed = "ImagePullFailed"

// LacksImage reports whether a pod waits for an image that the node cannot get.
func LacksImage(pods []corev1.Pod) bool {
	f := faultOf(Current(pods))
	return f != nil && f.reason == imagePullFailed
}

// faultOf finds a fault that will not pass by waiting.
func faultOf(pod *corev1.Pod) *fault {
	if pod == nil {
		return nil
	}
	if pod.Status.Phase == corev1.PodFailed {
		return &fault{"PodFailed", strings.TrimSpace("the pod failed: " + pod.Status.Reason + " " + pod.Status.Message)}
	}
	for i := range pod.Status.ContainerStatuses {
		if f := containerFault(pod, &pod.Status.ContainerStatuses[i]); f != nil {
			return f
		}
	}
	return nil
}

func containerFault(pod *corev1.Pod, c *corev1.ContainerStatus) *fault {
	if waiting := c.State.Waiting; waiting != nil {
		switch waiting.Reason {
		case "ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName", "ImageInspectError",
			"RegistryUnavailable":
			return &fault{imagePullFailed, fmt.Sprintf(
				"the node cannot get the image %q: check spec.image, spec.imagePullSecrets and the node's way to the registry "+
					"(kubectl describe pod %s)", c.Image, pod.Name)}
		case "CreateContainerConfigError", "CreateContainerError", "RunContainerError":
			return &fault{waiting.Reason, waiting.Message}
		case "CrashLoopBackOff":
			return crash(c.LastTerminationState.Terminated)
		}
	}
	if ended := c.State.Terminated; ended != nil && ended.ExitCode != 0 {
		return crash(ended)
	}
	// Between two waits a crashing container runs for a moment.
	if c.State.Running != nil && !c.Ready && c.RestartCount > 1 {
		if last := c.LastTerminationState.Terminated; last != nil && last.ExitCode != 0 {
			return crash(last)
		}
	}
	return nil
}

// crash tells how the server ended, in its own words: the termination message
// is the end of its log.
func crash(ended *corev1.ContainerStateTerminated) *fault {
	if ended == nil {
		return &fault{"CrashLoop", "the server ends again and again"}
	}
	if ended.Reason == "OOMKilled" {
		return &fault{
			"OutOfMemory", "the server was killed because it needed more memory than its limit: " +
				"raise spec.resources.limits.memory",
		}
	}
	message := fmt.Sprintf("the server ended with exit code %d", ended.ExitCode)
	if text := strings.TrimSpace(ended.Message); text != "" {
		message += ": " + text
	}
	if refusesFilesystem(message) {
		return &fault{filesystemLost, message}
	}
	return &fault{"CrashLoop", message}
}

// unscheduled is the scheduler's reason for not placing a pod, or empty.
func unscheduled(pod *corev1.Pod) string {
	if pod == nil {
		return ""
	}
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
			return c.Message
		}
	}
	return ""
}
