package v1alpha1

import corev1 "k8s.io/api/core/v1"

// NFSSpec is the NFS listener.
type NFSSpec struct {
	// TCP port of NFS and MOUNT together, in the pod and on the Service. The
	// server has no privileges, so at least 1024.
	// +kubebuilder:validation:Minimum=1024
	// +kubebuilder:validation:Maximum=65535
	// +kubebuilder:validation:XValidation:rule="self != 8080",message="nfs.port must not be 8080: that is the port of the probes"
	// +kubebuilder:default=2049
	// +optional
	Port int32 `json:"port,omitempty"`
}

// ServiceSpec is the Service that clients mount from.
//
// +kubebuilder:validation:XValidation:rule="!has(self.nodePort) || self.type != 'ClusterIP'",message="service.nodePort needs service.type NodePort or LoadBalancer"
// +kubebuilder:validation:XValidation:rule="!has(self.externalTrafficPolicy) || self.type != 'ClusterIP'",message="service.externalTrafficPolicy needs service.type NodePort or LoadBalancer"
// +kubebuilder:validation:XValidation:rule="!has(self.loadBalancerClass) || self.type == 'LoadBalancer'",message="service.loadBalancerClass needs service.type LoadBalancer"
// +kubebuilder:validation:XValidation:rule="self.type != 'LoadBalancer' || oldSelf.type != 'LoadBalancer' || (has(self.loadBalancerClass) == has(oldSelf.loadBalancerClass) && (!has(self.loadBalancerClass) || self.loadBalancerClass == oldSelf.loadBalancerClass))",message="service.loadBalancerClass cannot be changed while service.type is LoadBalancer"
type ServiceSpec struct {
	// ClusterIP, NodePort or LoadBalancer. A change keeps the ClusterIP.
	// +kubebuilder:validation:Enum=ClusterIP;NodePort;LoadBalancer
	// +kubebuilder:default=ClusterIP
	// +optional
	Type corev1.ServiceType `json:"type,omitempty"`

	// The ClusterIP that the Service is made with. A Service that is there keeps
	// its own: delete it to move the server, and with that every mount. Default:
	// that of before, which is remembered with the volumes; for a new server, one
	// that the cluster chooses.
	// +kubebuilder:validation:XValidation:rule="isIP(self) && ip.isCanonical(self)",message="service.clusterIP must be an IP address (example: 10.96.0.17)"
	// +kubebuilder:validation:MaxLength=45
	// +optional
	ClusterIP string `json:"clusterIP,omitempty"`

	// An address that was lost and may be given up: what the condition AddressKept
	// names. Every mount of it is dead for good.
	// +kubebuilder:validation:XValidation:rule="isIP(self)",message="service.abandonClusterIP must be an IP address"
	// +kubebuilder:validation:MaxLength=45
	// +optional
	AbandonClusterIP string `json:"abandonClusterIP,omitempty"`

	// Annotations of the Service, for load balancers. They do not restart the
	// server.
	// +kubebuilder:validation:MaxProperties=64
	// +optional
	Annotations map[string]string `json:"annotations,omitempty"`

	// Class of the load balancer.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +optional
	LoadBalancerClass *string `json:"loadBalancerClass,omitempty"`

	// Port on every node. Default: chosen by the cluster.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	// +optional
	NodePort *int32 `json:"nodePort,omitempty"`

	// Local keeps the client's address, which share client lists need when
	// clients come through a load balancer or a node port; Cluster does not.
	// +kubebuilder:validation:Enum=Cluster;Local
	// +optional
	ExternalTrafficPolicy corev1.ServiceExternalTrafficPolicy `json:"externalTrafficPolicy,omitempty"`
}

// LoggingSpec is the server's log.
type LoggingSpec struct {
	// debug, info, warn or error.
	// +kubebuilder:validation:Enum=debug;info;warn;error
	// +kubebuilder:default=info
	// +optional
	Level string `json:"level,omitempty"`

	// text or json.
	// +kubebuilder:validation:Enum=text;json
	// +kubebuilder:default=text
	// +optional
	Format string `json:"format,omitempty"`
}
