package status

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dittofs/dittofs/k8s/dittofs-operator/api/v1alpha1"
)

func condition(kind string, is bool, reason, message string) metav1.Condition {
	status := metav1.ConditionFalse
	if is {
		status = metav1.ConditionTrue
	}
	return metav1.Condition{Type: kind, Status: status, Reason: reason, Message: message}
}

func unknown(kind, reason, message string) metav1.Condition {
	return metav1.Condition{Type: kind, Status: metav1.ConditionUnknown, Reason: reason, Message: message}
}

func ready(_ Observation, v verdict, out v1alpha1.DittoServerStatus) metav1.Condition {
	if v.phase == v1alpha1.PhaseRunning {
		return condition(v1alpha1.ConditionReady, true, "Running", serving(out))
	}
	return condition(v1alpha1.ConditionReady, false, v.reason, v.message)
}

func available(_ Observation, v verdict, out v1alpha1.DittoServerStatus) metav1.Condition {
	if v.serving {
		return condition(v1alpha1.ConditionAvailable, true, "Serving", serving(out))
	}
	return condition(v1alpha1.ConditionAvailable, false, v.reason, v.message)
}

func serving(out v1alpha1.DittoServerStatus) string {
	return fmt.Sprintf("serving %s at %s", out.SharePaths, out.NFSEndpoint)
}

func progressing(o Observation, v verdict) metav1.Condition {
	if v.phase == v1alpha1.PhaseRunning && serves(o.Report) && o.Report.ConfigHash == "" {
		return condition(v1alpha1.ConditionProgressing, false, "NotReported",
			"the server does not say which configuration is in effect: is its image of the operator's version?")
	}
	switch v.phase {
	case v1alpha1.PhaseRunning, v1alpha1.PhaseHibernated:
		return condition(v1alpha1.ConditionProgressing, false, "Complete", "everything is as the spec says")
	case v1alpha1.PhaseFailed:
		return condition(v1alpha1.ConditionProgressing, false, v.reason, v.message)
	case v1alpha1.PhaseDegraded:
		if v.serving { // only a change of the spec or of the cluster helps
			return condition(v1alpha1.ConditionProgressing, false, v.reason, v.message)
		}
	}
	return condition(v1alpha1.ConditionProgressing, true, v.reason, v.message)
}

func configReady(o Observation) metav1.Condition {
	if o.ConfigError != nil {
		return condition(v1alpha1.ConditionConfigReady, false, "Refused", o.ConfigError.Error())
	}
	message := "the server's loader accepts the configuration"
	if o.Config.Warnings != "" {
		message += ", with warnings:\n" + o.Config.Warnings
	}
	return condition(v1alpha1.ConditionConfigReady, true, "Accepted", message)
}
