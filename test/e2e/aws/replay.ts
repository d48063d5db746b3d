/** Makes the resources that the program registers, by the calls that AWS's provider makes for them. */
import type { Clients, Inputs, Made } from "./clients.ts";
import { required } from "./clients.ts";
import { network } from "./makers/network.ts";
import { service } from "./makers/service.ts";

const makers = { ...network, ...service };

/** An image that there is. */
export async function amazonLinux({ ec2: client }: Clients): Promise<string> {
  const { Images } = await client.describeImages({ Owners: ["amazon"], MaxResults: 5 });
  return required(Images?.[0]?.ImageId);
}

export async function replay(clients: Clients, type: string, name: string, inputs: Inputs): Promise<Made> {
  const maker = makers[type];
  if (maker === undefined) throw new Error(`no call is known that makes ${type}`);
  try {
    return await maker(clients, inputs, `${name}-1234567`);
  } catch (error) {
    throw new Error(`${type} ${name}: ${(error as Error).message}`, { cause: error });
  }
}
