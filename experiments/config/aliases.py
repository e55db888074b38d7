"""Old `_target_` names and their replacements, so that earlier run.json, checkpoint.json and YAML files keep working.

A name may be that of a class or of a whole module.
"""

ALIASES = {
    "experiments.autoencoder_trainer.AutoencoderTrainer": "experiments.training.AutoencoderTrainer",
    "experiments.denoiser_trainer.DenoiserTrainer": "experiments.training.DenoiserTrainer",
    "experiments.logger.WandbLogger": "experiments.runs.WandbLogger",
    "experiments.trainer.Trainer": "experiments.training.Trainer",
    "experiments.undefended.DeepFool": "experiments.certifying.DeepFool",
    "models.autoencoder.Autoencoder": "models.Autoencoder",
    "models.denoised.Denoised": "models.Denoised",
    "models.face_detector.FaceDetector": "models.FaceDetector",
    "models.generator.BigGAN": "models.BigGAN",
    "models.reconstructor.Reconstructor": "models.Reconstructor",
    "smoothing.metrics.Angular": "smoothing.Angular",
    "smoothing.metrics.Jaccard": "smoothing.Jaccard",
    "smoothing.metrics.L2": "smoothing.L2",
    "smoothing.metrics.LPIPS": "smoothing.LPIPS",
    "smoothing.metrics.TotalVariation": "smoothing.TotalVariation",
    "smoothing.noise.Gaussian": "smoothing.Gaussian",
    # Modules of figures. No run.json names them, but a user's own YAML file may.
    "experiments.center_smoothing": "experiments.papers.kumar2021",
    "experiments.center_smoothing.curves.GeneratorCurves": "experiments.papers.kumar2021.GeneratorCurves",
    "experiments.center_smoothing.exact_bounds": "experiments.papers.ours.exact_bounds",
    "experiments.center_smoothing.l1": "experiments.papers.ours.l1_centers",
    "experiments.cohen2019": "experiments.papers.cohen2019",
    "experiments.levine2021": "experiments.papers.levine2021",
    "experiments.photographs": "experiments.data.photographs",
    "experiments.tightness": "experiments.papers.ours.tightness",
}
