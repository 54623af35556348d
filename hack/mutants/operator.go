package main

// operator are faults of the operator.
var operator = []mutant{
	{
		name: "lost-claim-is-made-again", file: "k8s/dittofs-operator/internal/identity/volumes.go",
		old: "if k.Filesystem == \"\" || expendable(ds, claim.Claim) {",
		new: "if true {",
		pkg: "./k8s/dittofs-operator/internal/identity", run: "TestJudge",
	},
	{
		name: "accepted-loss-is-accepted-for-ever", file: "k8s/dittofs-operator/internal/identity/identity.go",
		old: "known.Filesystem == lost && known.AcceptedLoss != lost",
		new: "known.Filesystem == lost",
		pkg: "./k8s/dittofs-operator/internal/identity", run: "TestRecall",
	},
	{
		name: "running-before-the-server-says-so", file: "k8s/dittofs-operator/internal/status/filesystem.go",
		old: "return o.Server.Status.AppliedConfigHash == o.Config.Hash",
		new: "return true",
		pkg: "./k8s/dittofs-operator/internal/status", run: "TestRunningIsSaidWhenTheServerHasSaidSo",
	},
	{
		name: "leftovers-by-label-alone", file: "k8s/dittofs-operator/internal/names/names.go",
		old: "if entry.Manager == Operator && entry.Operation == metav1.ManagedFieldsOperationApply {",
		new: "if entry.Manager != \"\" {",
		pkg: "./k8s/dittofs-operator/internal/names", run: "TestAnObjectIsOursByItsOwnerOrWithoutOneByItsMaker",
	},
}
