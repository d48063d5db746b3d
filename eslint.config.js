import pulumi from "@pulumi/eslint-plugin";
import importX from "eslint-plugin-import-x";
import tseslint from "typescript-eslint";

/** Imports go one way: no file of `target` imports from `from`. docs/architecture.md draws the direction. */
const zones = [
  { target: "./components", from: ["./cli", "./offline", "./commands", "./test", "./bench"] },
  {
    target: "./components/settings",
    from: ["docker", "aws", "image", "serving"].map((folder) => `./components/${folder}`),
  },
  // What brings everything together imports everything, and is imported by the program alone.
  { target: "./components/*/**", from: "./components/preflight.ts" },
  { target: "./components/image", from: ["./components/docker", "./components/aws", "./components/serving"] },
  { target: "./components/serving", from: ["./components/docker", "./components/aws"] },
  { target: "./components/docker", from: "./components/aws" },
  { target: "./components/aws", from: "./components/docker" },
  {
    target: "./components/model",
    from: ["docker", "aws", "image", "serving", "settings"].map((folder) => `./components/${folder}`),
  },
  { target: "./gateway", from: ["./components", "./cli", "./offline", "./commands", "./tools", "./test", "./bench"] },
  { target: "./dashboard", from: ["./components", "./cli", "./offline", "./commands", "./tools", "./test", "./bench"] },
  { target: "./tools", from: ["./components", "./cli", "./offline", "./test", "./bench"] },
  { target: ["./cli", "./offline", "./commands"], from: ["./test", "./bench/growth"] },
  { target: "./cli", from: "./offline", except: ["index.ts"] },
];

export default tseslint.config(
  {
    ignores: [
      "node_modules",
      ".tools",
      ".build",
      ".state",
      "docker/server/context",
      "docker/gateway",
      "docker/monitoring",
    ],
  },
  ...tseslint.configs.strictTypeChecked,
  {
    plugins: { "@pulumi": pulumi, "import-x": importX },
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      "import-x/no-restricted-paths": ["error", { zones }],
      // The program and `npm run …` import what is installed without devDependencies too.
      "import-x/no-extraneous-dependencies": [
        "error",
        { devDependencies: ["offline/**", "docs/**", "test/**", "bench/**", "*.config.*"] },
      ],
      // An Output in a template string prints "Calling [toString] on an Output<T>": the bug this plugin exists for.
      "@pulumi/no-output-in-template-literal": "error",
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
      // A Pulumi component registers its children in its constructor and need not keep a reference.
      "no-new": "off",
    },
  },
  {
    // What is longer does more than one thing. A test is a story told from beginning to end.
    ignores: ["test/**"],
    rules: {
      "max-lines-per-function": ["error", { max: 40, skipBlankLines: true, skipComments: true }],
      "max-lines": ["error", { max: 300 }],
    },
  },
  {
    files: ["**/*.js", "**/*.mjs"],
    extends: [tseslint.configs.disableTypeChecked],
    rules: { "@pulumi/no-output-in-template-literal": "off" },
  },
);
