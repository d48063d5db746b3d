/** What @pulumi/aws's own declarations say that a resource or a function takes and gives. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";
import { checkout } from "../../../../cli/paths.ts";
import type { Properties, Value } from "../../../../offline/plugins/values.ts";
import { UNKNOWN, isObject } from "../../../../offline/plugins/values.ts";

const folder = join(checkout, "node_modules", "@pulumi", "aws");

export interface Declaration {
  /** What is wrong with these inputs, one line each: properties that do not exist, that are missing, of another kind. */
  problems(inputs: Properties): string[];
  /** The names of all that a resource of this type has once it is made. */
  outputs: readonly string[];
}

/**
 * @param token of a resource, aws:ec2/vpc:Vpc, or a function, aws:ec2/getSubnet:getSubnet
 * @returns undefined if @pulumi/aws has nothing of that token
 */
export function declarationOf(token: string): Declaration | undefined {
  const [, module = "", name = ""] = token.split(":");
  const path = join(folder, `${module.replace(/^index\//, "")}.d.ts`);
  if (!existsSync(path)) return undefined;
  const { statements } = parse(path);
  const args = interfaceIn(statements, `${name.charAt(0).toUpperCase()}${name.slice(1)}Args`);
  const made = statements.filter(ts.isClassDeclaration).find((declared) => declared.name?.text === name);
  const called = statements.filter(ts.isFunctionDeclaration).find((declared) => declared.name?.text === name);
  if (made === undefined && called === undefined) return undefined;
  return {
    problems: (inputs) => (args === undefined ? [] : problemsIn(args, inputs, token)),
    outputs: made?.members.filter(isOwnProperty).map(nameOf) ?? [],
  };
}

const parsed = new Map<string, ts.SourceFile>();

function parse(path: string): ts.SourceFile {
  const file = parsed.get(path) ?? ts.createSourceFile(path, readFileSync(path, "utf8"), ts.ScriptTarget.ES2024);
  parsed.set(path, file);
  return file;
}

function interfaceIn(statements: readonly ts.Statement[], name: string): ts.InterfaceDeclaration | undefined {
  return statements.filter(ts.isInterfaceDeclaration).find((declared) => declared.name.text === name);
}

function isOwnProperty(member: ts.ClassElement): member is ts.PropertyDeclaration {
  const isStatic = ts.getCombinedModifierFlags(member) & ts.ModifierFlags.Static;
  return ts.isPropertyDeclaration(member) && !isStatic;
}

function nameOf({ name }: ts.PropertyDeclaration | ts.PropertySignature): string {
  return ts.isIdentifier(name) || ts.isStringLiteral(name) ? name.text : "";
}

function problemsIn({ members }: ts.InterfaceDeclaration, value: Properties, at: string): string[] {
  const declared = new Map(members.filter(ts.isPropertySignature).map((member) => [nameOf(member), member]));
  const missing = [...declared].filter(([name, member]) => !member.questionToken && value[name] === undefined);
  return [
    ...missing.map(([name]) => `${at}: "${name}" is missing`),
    ...Object.entries(value).flatMap(([name, inner]) => {
      const type = declared.get(name)?.type;
      return type === undefined ? [`${at}: there is no property "${name}"`] : mismatches(type, inner, `${at}.${name}`);
    }),
  ];
}

function mismatches(type: ts.TypeNode, value: Value, at: string): string[] {
  if (value === UNKNOWN) return [];
  const types = alternatives(type);
  const wrong = [`${at}: ${JSON.stringify(value)} is of another kind than declared`];
  if (Array.isArray(value)) {
    const list = types.find(ts.isArrayTypeNode);
    return list === undefined ? wrong : value.flatMap((each, i) => mismatches(list.elementType, each, `${at}[${i}]`));
  }
  if (!isObject(value)) return types.some((each) => isPlain(each, value)) ? [] : wrong;
  const values = types.map(valuesOfMap).find((each) => each !== undefined);
  if (values !== undefined) {
    return Object.entries(value).flatMap(([key, each]) => mismatches(values, each, `${at}.${key}`));
  }
  const declared = types.map(nestedInterface).find((each) => each !== undefined);
  return declared === undefined ? wrong : problemsIn(declared, value, at);
}

/** What a type may be, without what only the program's side knows: pulumi.Input<string | undefined> is a string. */
function alternatives(type: ts.TypeNode): ts.TypeNode[] {
  if (ts.isUnionTypeNode(type)) return type.types.flatMap(alternatives);
  if (ts.isParenthesizedTypeNode(type)) return alternatives(type.type);
  const [inner] = ts.isTypeReferenceNode(type) ? (type.typeArguments ?? []) : [];
  return inner !== undefined && pathOf(type).join(".") === "pulumi.Input" ? alternatives(inner) : [type];
}

/** The parts of inputs.ec2.VpcEndpointDnsOptions. */
function pathOf(type: ts.TypeNode): string[] {
  const parts = (name: ts.EntityName): string[] =>
    ts.isIdentifier(name) ? [name.text] : [...parts(name.left), name.right.text];
  return ts.isTypeReferenceNode(type) ? parts(type.typeName) : [];
}

function isPlain(type: ts.TypeNode, value: Value): boolean {
  switch (type.kind) {
    case ts.SyntaxKind.StringKeyword:
      return typeof value === "string";
    case ts.SyntaxKind.NumberKeyword:
      return typeof value === "number";
    case ts.SyntaxKind.BooleanKeyword:
      return typeof value === "boolean";
    default:
      // An enumeration, or a resource that goes over the wire as its id.
      return ts.isTypeReferenceNode(type) && pathOf(type)[0] !== "inputs" && typeof value === "string";
  }
}

/** Of { [key: string]: T }: T. */
function valuesOfMap(type: ts.TypeNode): ts.TypeNode | undefined {
  return ts.isTypeLiteralNode(type) ? type.members.find(ts.isIndexSignatureDeclaration)?.type : undefined;
}

function nestedInterface(type: ts.TypeNode): ts.InterfaceDeclaration | undefined {
  const [root, ...path] = pathOf(type);
  if (root !== "inputs") return undefined;
  let { statements }: { statements: readonly ts.Statement[] } = parse(join(folder, "types", "input.d.ts"));
  for (const name of path.slice(0, -1)) {
    const namespace = statements.filter(ts.isModuleDeclaration).find((declared) => declared.name.text === name)?.body;
    statements = namespace !== undefined && ts.isModuleBlock(namespace) ? namespace.statements : [];
  }
  return interfaceIn(statements, path.at(-1) ?? "");
}
