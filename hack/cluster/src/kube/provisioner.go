package main

import (
	"context"
	"log"
	"os"
	"path/filepath"
	"time"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

// localProvisioner is the smallest dynamic provisioner: a volume is a directory under dir, on the one node that it
// serves. It knows both binding modes; the reclaim policy Delete removes the directory.
func localProvisioner(kubeconfig, node, dir string) {
	const name = "dittofs.local/hostpath"
	cfg, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		log.Fatal(err)
	}
	c, ctx := kubernetes.NewForConfigOrDie(cfg), context.Background()
	for ; ; time.Sleep(time.Second) {
		pvcs, err := c.CoreV1().PersistentVolumeClaims("").List(ctx, metav1.ListOptions{ResourceVersion: "0"})
		if err != nil {
			log.Print(err)
			continue
		}
		for _, p := range pvcs.Items {
			if p.Status.Phase != v1.ClaimPending || p.Spec.VolumeName != "" ||
				p.Annotations["volume.kubernetes.io/storage-provisioner"] != name {
				continue
			}
			sc, err := c.StorageV1().StorageClasses().Get(ctx, *p.Spec.StorageClassName, metav1.GetOptions{})
			if err != nil {
				log.Print(err)
				continue
			}
			if sc.VolumeBindingMode != nil && *sc.VolumeBindingMode == "WaitForFirstConsumer" &&
				p.Annotations["volume.kubernetes.io/selected-node"] == "" {
				continue
			}
			pv := "pvc-" + string(p.UID)
			path := filepath.Join(dir, pv)
			if err := os.MkdirAll(path, 0o777); err == nil {
				err = os.Chmod(path, 0o777)
			}
			_, err = c.CoreV1().PersistentVolumes().Create(ctx, &v1.PersistentVolume{
				ObjectMeta: metav1.ObjectMeta{Name: pv, Annotations: map[string]string{"pv.kubernetes.io/provisioned-by": name}},
				Spec: v1.PersistentVolumeSpec{
					Capacity:                      v1.ResourceList{v1.ResourceStorage: p.Spec.Resources.Requests[v1.ResourceStorage]},
					AccessModes:                   p.Spec.AccessModes,
					PersistentVolumeReclaimPolicy: *sc.ReclaimPolicy,
					StorageClassName:              sc.Name,
					VolumeMode:                    p.Spec.VolumeMode,
					ClaimRef: &v1.ObjectReference{
						APIVersion: "v1", Kind: "PersistentVolumeClaim", Namespace: p.Namespace, Name: p.Name, UID: p.UID,
					},
					NodeAffinity: &v1.VolumeNodeAffinity{Required: &v1.NodeSelector{NodeSelectorTerms: []v1.NodeSelectorTerm{{
						MatchExpressions: []v1.NodeSelectorRequirement{
							{Key: v1.LabelHostname, Operator: v1.NodeSelectorOpIn, Values: []string{node}},
						},
					}}}},
					PersistentVolumeSource: v1.PersistentVolumeSource{HostPath: &v1.HostPathVolumeSource{Path: path}},
				}}, metav1.CreateOptions{})
			if err != nil && !apierrors.IsAlreadyExists(err) {
				log.Print(err)
			}
		}
		pvs, err := c.CoreV1().PersistentVolumes().List(ctx, metav1.ListOptions{ResourceVersion: "0"})
		if err != nil {
			log.Print(err)
			continue
		}
		for _, pv := range pvs.Items {
			if pv.Status.Phase != v1.VolumeReleased ||
				pv.Spec.PersistentVolumeReclaimPolicy != v1.PersistentVolumeReclaimDelete ||
				pv.Annotations["pv.kubernetes.io/provisioned-by"] != name || pv.DeletionTimestamp != nil {
				continue
			}
			if err := os.RemoveAll(filepath.Join(dir, filepath.Base(pv.Spec.HostPath.Path))); err == nil {
				err = c.CoreV1().PersistentVolumes().Delete(ctx, pv.Name, metav1.DeleteOptions{})
			}
			if err != nil {
				log.Print(err)
			}
		}
	}
}
